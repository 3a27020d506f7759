"""Take over the finished clips of a shard when its job runs again, because one clip came or went.

After a job, its array is kept by a second name (a hard link, so it takes no space while the product is there)
in the stage's scratch folder, beside a JSON file with a key and the journal of every clip. A clip's key
covers its content, its cut and all that its rows are computed from.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from signloom.features.partial_shard import ClipTask
from signloom.files import file_sha256, write_json, write_text

# whose next version may compute other rows
_PACKAGES = ("av", "mediapipe", "ai-edge-litert", "numpy", "opencv-python-headless", "openvino", "torch")


class FinishedShard:
    """The clips of a shard as its last job left them."""

    def __init__(self, place: Path, setting: str | None, tasks: Sequence[ClipTask]) -> None:
        """`place` is where they are kept, without a suffix; `setting` says what all rows are computed with.

        Without a setting nothing is taken over or kept.
        """
        self.array, self.table = place.with_suffix(".npy"), place.with_suffix(".json")
        self.tasks = tasks
        common = [setting, *_versions()]
        self._keys = {
            task.clip_id: _digest(*common, task.clip_id, task.content, task.start_s, task.end_s)
            for task in tasks
            if setting and task.content
        }

    def take_over(self) -> int:
        """Write rows and journal of every clip whose key is that of the last job; return their number."""
        known = self._known() if self._keys else {}
        todo = [task for task in self.tasks if not task.journal.exists()]
        found = [task for task in todo if task.clip_id in known and self._keys.get(task.clip_id)]
        found = [task for task in found if known[task.clip_id]["key"] == self._keys[task.clip_id]]
        if not found:
            return 0
        rows = np.load(self.array, mmap_mode="r", allow_pickle=False)
        for task in found:
            entry, offset = known[task.clip_id]["entry"], known[task.clip_id]["offset"]
            rows[offset : offset + entry["length"]].tofile(task.rows_file)
            write_text(task.journal, json.dumps(entry))
        return len(found)

    def keep(self, npy: Path) -> None:
        """Keep the finished array `npy` and the journals of its clips for the next job.

        Clips that could not be read are left out, so that they are tried again.
        """
        offset, kept = 0, {}
        for task in self.tasks:
            entry = json.loads(task.journal.read_text("utf-8"))
            if entry["status"] == "ok" and task.clip_id in self._keys:
                kept[task.clip_id] = {"key": self._keys[task.clip_id], "offset": offset, "entry": entry}
            offset += entry["length"]
        if not kept:
            return
        self.table.unlink(missing_ok=True)
        self.array.unlink(missing_ok=True)
        self.array.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(npy, self.array)
        except OSError:  # a disk without hard links keeps nothing, and the next job computes all clips
            return
        write_json(self.table, {"sha256": file_sha256(npy), "clips": kept})

    def _known(self) -> dict[str, Any]:
        """Return what is kept of each clip; nothing if the array has changed since."""
        try:
            table = json.loads(self.table.read_text("utf-8"))
            whole = file_sha256(self.array) == table["sha256"]
        except (FileNotFoundError, ValueError):
            return {}
        return dict(table["clips"]) if whole else {}


def _versions() -> Iterable[str]:
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} missing"


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
