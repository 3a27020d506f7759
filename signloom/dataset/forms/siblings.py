"""Annotations that are split over several files of one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from signloom.errors import SignloomError


def find_siblings(table: Path, names: Sequence[str]) -> list[Path]:
    """Return the files `names` in the folder `table`, or in the folder of the file `table`.

    Raises SignloomError if one of them is missing, or if `table` is a file with another name.
    """
    if table.is_file() and table.name not in names:
        raise SignloomError(f"dataset.table: {table}: expected a folder or one of {', '.join(names)}")
    folder = table if table.is_dir() else table.parent
    files = [folder / name for name in names]
    for file in files:
        if not file.is_file():
            raise SignloomError(f"dataset.table: {file} is missing; expected {', '.join(names)} in {folder}")
    return files
