"""Feature rows of clips: NumPy or text files of one clip each, and clips of a table of rows.

A file holds an array (T, D) of numbers, one row for each frame or window. Nothing is unpickled.
"""

import tokenize
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signloom.dataset.row_tables import RowTable, split_key
from signloom.errors import SignloomError

TEXT_SUFFIXES = (".txt", ".csv", ".tsv")
ROW_SUFFIXES = (".npy", ".npz", *TEXT_SUFFIXES)
_NAME = "features"  # the array of an .npz file that holds several, as bundles answer it
# of damaged and of locked files; NumPy reads the header of an array as Python
_UNREADABLE = (
    *(OSError, EOFError, ValueError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)

Values = NDArray[np.float32]


class RowFiles:
    """Reads feature rows by path; a table of several clips is read only once."""

    def __init__(self) -> None:
        self.table = cache(RowTable)

    def shape(self, path: Path) -> tuple[int, int]:
        """Return the number of rows and columns of a clip; of an .npy file from its header alone.

        Raises SignloomError if there are none, or if the file cannot be read.
        """
        if place := split_key(path):
            table = self.table(place[0])
            return len(table.frames(place[1])), len(table.columns)
        rows, columns = _array(path, header_only=True).shape
        return rows, columns

    def read(self, path: Path) -> Values:
        """Return the rows (T, D) of a clip, NaN where the file says so or a table has an empty cell.

        Raises SignloomError as `shape` does, and for an infinite value.
        """
        if place := split_key(path):
            return self.table(place[0]).values(place[1]).astype(np.float32)
        values = _array(path).astype(np.float32)
        if np.isinf(values).any():
            row, column = np.argwhere(np.isinf(values))[0] + 1
            raise SignloomError(f"the value in row {row}, column {column} is infinite")
        return values


def _array(path: Path, header_only: bool = False) -> NDArray[Any]:
    suffix = path.suffix.lower()
    if suffix not in ROW_SUFFIXES:
        raise SignloomError(f"{path.suffix or 'no suffix'} is not one of {', '.join(ROW_SUFFIXES)}")
    try:
        array = _text(path) if suffix in TEXT_SUFFIXES else _numpy(path, header_only)
    except _UNREADABLE as error:
        raise SignloomError(f"not a readable file of rows: {' '.join(str(error).split())}") from error
    if array.ndim != 2 or not array.size:
        raise SignloomError(f"expected an array of shape (rows, columns), found {array.shape}")
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise SignloomError(f"expected numbers, found values of the type {array.dtype}")
    return array


def _numpy(path: Path, header_only: bool) -> NDArray[Any]:
    mapped = path.suffix.lower() == ".npy" and header_only
    content = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return content
    with content:
        names = content.files
        if len(names) != 1 and _NAME not in names:
            raise ValueError(f"{len(names)} arrays ({', '.join(names)}); expected one, or one called {_NAME}")
        found: NDArray[Any] = content[names[0] if len(names) == 1 else _NAME]
        return found


def _text(path: Path) -> NDArray[Any]:
    """Return lines of numbers with semicolons, tabs, commas or white space between them.

    An empty cell is NaN. Raises ValueError for commas beside another mark, which are decimal commas.
    """
    with path.open(encoding="utf-8-sig") as file:
        # a tab at an end of a line stands beside an empty cell
        lines = [line.strip(" \r\n") for line in file if line.strip()]
    if not lines:
        return np.empty((0, 0))  # NumPy would warn
    mark = next((mark for mark in ";\t," if any(mark in line for line in lines)), None)
    if mark in (";", "\t") and any("," in line for line in lines):
        raise ValueError("it has numbers with a decimal comma; write them with a point")
    if mark and all(line.endswith(mark) for line in lines):
        lines = [line[:-1] for line in lines]
    cells = [[cell.strip() or "nan" for cell in line.split(mark)] for line in lines]
    spaced = any(len(cell.split()) > 1 for row in cells for cell in row)
    if mark and spaced and not any("." in line for line in lines):  # with points, each mark separates
        raise ValueError(
            "it has white space within its cells; write numbers with a point and one mark between"
        )
    return np.loadtxt([" ".join(row) for row in cells], np.float32, comments=None, ndmin=2)
