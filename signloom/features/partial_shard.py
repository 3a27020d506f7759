"""Build a shard clip by clip, so that a killed stage continues with its unfinished clips.

A finished clip has two files in the scratch folder: its rows as raw float32, and a small JSON file, the
journal, which is written last. Finished clips are joined into the shard's array and index.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from signloom.dataset.clip_names import copy_id
from signloom.features.shards import append_npy, write_index
from signloom.files import read_csv

_COPY_ROWS = 1024
_INDEX = {
    "clip_id": "str",
    "offset": "int64",
    "length": "int64",
    "fps": "float64",
    "width": "int64",
    "height": "int64",
    "frame_index": "object",
    "time_s": "object",
    "status": "str",
    "reason": "str",
    "detail": "str",
}


@dataclass(frozen=True)
class ClipTask:
    """One clip (`copy` 0) or one augmented copy of it (`copy` from 1), and its files in the folder `scratch`.

    `start_s` or `end_s` is None if the clip is not cut there. `folder_fps` is the rate of a folder of frames.
    `content` is the digest of what the clip is cut from, "" if it is not known.
    """

    source_id: str
    video: Path
    start_s: float | None
    end_s: float | None
    scratch: Path
    copy: int = 0
    folder_fps: float | None = None
    content: str = ""

    @property
    def clip_id(self) -> str:
        """The clip id in the index."""
        return copy_id(self.source_id, self.copy)

    @property
    def journal(self) -> Path:
        """The journal; the id is hashed, because it may not be a valid file name."""
        return self.scratch / f"{hashlib.sha256(self.clip_id.encode()).hexdigest()[:24]}.json"

    @property
    def rows_file(self) -> Path:
        """The file of raw float32 rows (length, dim)."""
        return self.journal.with_suffix(".f32")


def read_shard_list(shard: Path) -> list[dict[str, Any]]:
    """Return the rows of a shard list: `clip_id`, `video_path`, `start_s`, `end_s`, `video_hash`.

    A time is None where the clip is not cut.
    """
    kinds = {"clip_id": str, "video_path": str, "video_hash": str}
    table = read_csv(shard, dtype=kinds, keep_default_na=False, na_values=[""])
    clips: list[dict[str, Any]] = table.to_dict("records")
    for clip in clips:
        for end in ("start_s", "end_s"):
            clip[end] = None if math.isnan(clip[end]) else float(clip[end])
    return clips


def clip_tasks(
    clips: Sequence[dict[str, Any]],
    scratch: Path,
    copies: Sequence[int] = (0,),
    folder_fps: float | None = None,
) -> list[ClipTask]:
    """Return one task for each of `clips` and each of `copies`; the copies of a clip follow each other."""
    names = ("clip_id", "video_path", "start_s", "end_s")
    tasks = []
    for clip in clips:
        clip_id, video, start_s, end_s = (clip[name] for name in names)
        content = clip.get("video_hash")
        known = content if isinstance(content, str) else ""
        tasks += [
            ClipTask(clip_id, Path(video), start_s, end_s, scratch, copy, folder_fps, known)
            for copy in copies
        ]
    return tasks


def join_clips(
    tasks: Sequence[ClipTask],
    npy: Path,
    index: Path,
    dim: int,
    more: Mapping[str, str] | None = None,
    same: Mapping[str, str] | None = None,
) -> None:
    """Join finished clips, in their order, into `npy` float32 (rows, `dim`) and the table `index`.

    `more` maps additional index columns to their types. `same` holds the values that all clips share; the
    other values come from the journals.
    """
    kinds = _INDEX | dict(more or {})
    rows: list[dict[str, Any]] = []
    with append_npy(npy, dim, np.float32) as array:
        for task in tasks:
            entry = json.loads(task.journal.read_text("utf-8"))
            rows.append({"clip_id": task.clip_id, "offset": array.rows, **entry, **(same or {})})
            if entry["length"]:
                stored = np.memmap(task.rows_file, np.float32, "r", shape=(entry["length"], dim))
                for start in range(0, len(stored), _COPY_ROWS):
                    array.append(stored[start : start + _COPY_ROWS])
    write_index(index, rows, kinds)
