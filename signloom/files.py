"""Writing files so that a killed process never leaves half of one under its final name."""

from __future__ import annotations

import errno
import glob
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from signloom.cells import cell, plain

if TYPE_CHECKING:
    import pandas as pd

_LONG_NAME = 230  # bytes of a name, which may have 255 with what stands around it meanwhile
_UNNAMED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what only a write to an open file says
_UNIX = 3  # of the systems that a zip file can name


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success the file is synced and renamed to `path`.

    An OSError names `path` if it says of no file, or of the temporary one, that it could not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{_short(path)}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        if error.filename in (str(part), part) or (error.filename is None and error.errno in _UNNAMED):
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Delete what killed processes left of `path`; nobody else may be at work on it."""
    for part in path.parent.glob(f".{glob.escape(_short(path))}.[0-9]*.part"):
        part.unlink()


def _short(path: Path) -> str:
    name = os.fsencode(path.name)
    return path.name if len(name) < _LONG_NAME else hashlib.sha256(name).hexdigest()


def remove_folder(folder: Path) -> None:
    """Delete a folder; it loses its name first, so that a kill leaves no half of it that looks whole."""
    gone = folder.with_name(f"{folder.name}.gone")
    if gone.exists():  # left by a kill
        shutil.rmtree(gone)
    folder.replace(gone)
    shutil.rmtree(gone)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8."""
    with atomic(path) as part:
        part.write_text(text, "utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; raises ValueError for NaN, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_npy(path: Path, array: npt.NDArray[Any]) -> None:
    """Write `array` as .npy."""
    with atomic(path) as part, part.open("wb") as file:
        np.save(file, array)


def write_npz(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write `arrays` as .npz: the same bytes for the same arrays.

    `numpy.savez` writes other headers under another patch release of Python.
    """
    with atomic(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # of the year 1980
            entry.create_system = _UNIX
            archive.writestr(entry, buffer.getbuffer())


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write `table` as UTF-8 CSV without its index; lines end with a line feed.

    Texts are written by `signloom.cells.cell`: no spreadsheet runs one, and no terminal obeys one.
    """
    with atomic(path) as part:
        _texts(table, cell).to_csv(part, index=False, lineterminator="\n")


def read_csv(path: Path | IO[bytes], **options: Any) -> pd.DataFrame:
    """Return the table that `write_csv` wrote, as it was; `options` are those of pandas."""
    # a slow import, which an answer to a video does not need
    import pandas as pd

    return _texts(pd.read_csv(path, **options), plain)


def _texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """Return `table` with its texts changed; all other cells, and columns without a change, stay."""
    import pandas as pd

    changed = table.copy(deep=False)
    for place, (_, column) in enumerate(table.items()):
        if not pd.api.types.is_numeric_dtype(column.dtype):
            cells = [change(value) if isinstance(value, str) else value for value in column]
            if cells != column.tolist():
                kind = column.dtype if isinstance(column.dtype, pd.StringDtype) else object
                changed.isetitem(place, pd.Series(cells, column.index, kind))
    return changed


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write `table` as parquet without its index."""
    with atomic(path) as part:
        table.to_parquet(part, index=False)


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(paths: Iterable[Path]) -> str:
    """Return the hex SHA-256 of the contents of `paths`, in the order given."""
    total = hashlib.sha256()
    for path in paths:
        total.update(bytes.fromhex(file_sha256(path)))
    return total.hexdigest()
