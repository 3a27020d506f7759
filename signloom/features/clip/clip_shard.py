"""How a clip gets into a clip-feature shard: its journal while the stage runs, and its index row."""

from __future__ import annotations

import json
import math
import os
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signloom.features.partial_shard import ClipTask
from signloom.files import write_text
from signloom.params.clips import ClipFeaturesParams
from signloom.video.decode import Frame
from signloom.video.windows import window_count

# columns of the index besides those of every shard
INDEX_COLUMNS = {"first_frame": "object", "last_frame": "object"}
INDEX_COLUMNS |= dict.fromkeys(("backbone", "weights", "weights_sha256", "mode"), "str")


@dataclass
class OpenClip:
    """A clip while it is read: the resampled frames so far and the number of rows on disk."""

    task: ClipTask
    fps: float = math.nan
    width: int = 0
    height: int = 0
    numbers: array[int] = field(default_factory=lambda: array("q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    rows: int = 0
    problem: str = ""
    read: bool = False

    def note(self, frame: Frame) -> None:
        """Store the source number and the time of the next frame."""
        self.numbers.append(frame.number)
        self.times.append(frame.time_s)

    def append(self, rows: NDArray[np.float32]) -> None:
        """Append `rows` (n, dim) to the file; the first rows replace what a killed run left."""
        with self.task.rows_file.open("ab" if self.rows else "wb") as file:
            file.write(np.ascontiguousarray(rows, np.float32).data)
        self.rows += len(rows)

    def reject(self, problem: str) -> None:
        """Drop all data of the clip and store why it cannot be read."""
        self.problem = problem
        self.fps, self.width, self.height, self.rows = math.nan, 0, 0, 0
        del self.numbers[:], self.times[:]
        self.task.rows_file.unlink(missing_ok=True)

    def finish(self, params: ClipFeaturesParams) -> None:
        """Write the journal, which marks the clip as finished."""
        if self.rows:
            with self.task.rows_file.open("rb") as written:
                os.fsync(written.fileno())
        entry: dict[str, Any] = {"fps": self.fps, "width": self.width, "height": self.height}
        entry |= self._places(params) | {"length": self.rows}
        reason = ("rejected", "unreadable") if self.problem else ("ok", "")
        entry |= {"status": reason[0], "reason": reason[1], "detail": self.problem}
        write_text(self.task.journal, json.dumps(entry))

    def expected(self, params: ClipFeaturesParams) -> int:
        """Return the number of rows for the frames noted so far."""
        frames = len(self.numbers)
        return window_count(frames, params.stack_size, params.step_size) if frames else 0

    def _places(self, params: ClipFeaturesParams) -> dict[str, list[int] | list[float]]:
        """Return middle frame, its time, first frame and last frame of every row's window."""
        starts = np.arange(self.expected(params)) * params.step_size
        numbers, times = np.asarray(self.numbers, np.int64), np.asarray(self.times, np.float64)
        first, middle, last = (
            np.minimum(starts + offset, len(numbers) - 1)
            for offset in (0, params.stack_size // 2, params.stack_size - 1)
        )
        return {
            "frame_index": numbers[middle].tolist(),
            "time_s": times[middle].tolist(),
            "first_frame": numbers[first].tolist(),
            "last_frame": numbers[last].tolist(),
        }
