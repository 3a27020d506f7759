"""Clips that are rows of one CSV table: `hands.csv#98` is clip 98 of hands.csv.

Such a table has the columns `video` (the clip), `frame` (a whole number that grows by one from row to row of
a clip) and one column per value; an empty cell is a missing value.
"""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signloom.dataset.forms.table_files import read_table
from signloom.dataset.forms.texts import no_underscore
from signloom.errors import SignloomError

_MARK = ".csv#"


def split_key(path: Path) -> tuple[Path, str] | None:
    """Return table and clip of a path such as `hands.csv#98`, or None for any other path."""
    stem, mark, key = path.as_posix().partition(_MARK)
    return (Path(stem + _MARK[:-1]), key) if mark and key else None


class RowTable:
    """The clips of one table of rows, by key."""

    def __init__(self, path: Path) -> None:
        """Read `path`; raises SignloomError with file and line if a frame is not a whole number."""
        rows = read_table(path, ["video", "frame"])
        self.path = path
        self.columns: list[str] = [name for name in rows.columns if name not in ("video", "frame", "row")]
        if not self.columns:
            raise SignloomError(f"{path}: expected at least one column of values besides video and frame")
        self._clips: dict[str, list[tuple[int, int, tuple[str, ...]]]] = {}
        for video, frame, line, *cells in rows[["video", "frame", "row", *self.columns]].itertuples(
            index=False, name=None
        ):
            if not frame.strip().isdecimal():
                raise SignloomError(f"{path}: line {line}: frame {frame!r}: expected a whole number")
            self._clips.setdefault(video.strip(), []).append((int(frame), line, tuple(cells)))
        for clip in self._clips.values():
            clip.sort()

    def __contains__(self, key: object) -> bool:
        return key in self._clips

    def digest(self, key: str) -> str:
        """Return the SHA-256 of the clip's rows and column names; `key` does not count."""
        return hashlib.sha256(self._text(key)).hexdigest()

    def size(self, key: str) -> int:
        """Return the size in bytes of the clip's rows as text."""
        return len(self._text(key))

    def frames(self, key: str) -> NDArray[np.int64]:
        """Return the frame number (T,) of every row of the clip, in order."""
        return np.array([frame for frame, _, _ in self._rows(key)], np.int64)

    def values(self, key: str) -> NDArray[np.float64]:
        """Return the values (T, columns) of the clip in the order of its frames; an empty cell is NaN.

        Raises SignloomError with the line if a cell is not a finite number or frame numbers have a gap.
        """
        rows = self._rows(key)
        for (before, _, _), (frame, line, _) in pairwise(rows):
            if frame != before + 1:
                raise SignloomError(
                    f"{self.path}: line {line}: frame {frame} follows {before}; expected {before + 1}"
                )
        found = [[self._number(cell, line) for cell in cells] for _, line, cells in rows]
        return np.array(found, np.float64).reshape(len(rows), len(self.columns))

    def _number(self, cell: str, line: int) -> float:
        if not cell.strip():
            return float("nan")
        try:
            value = float(no_underscore(cell))
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise SignloomError(f"{self.path}: line {line}: {cell!r}: expected a number or an empty cell")
        return value

    def _rows(self, key: str) -> list[tuple[int, int, tuple[str, ...]]]:
        if key not in self._clips:
            raise SignloomError(f"{self.path}: no row has {key!r} in column `video`")
        return self._clips[key]

    def _text(self, key: str) -> bytes:
        lines = [["frame", *self.columns], *([str(frame), *cells] for frame, _, cells in self._rows(key))]
        return "".join(",".join(line) + "\n" for line in lines).encode()
