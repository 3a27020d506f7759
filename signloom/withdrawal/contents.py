"""What files hold, whatever their names: archives are opened, tables read, and pictures in pages decoded."""

import base64
import gzip
import io
import mmap
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from signloom.files import read_csv
from signloom.withdrawal.traces import names_of

_DEEPEST = 3  # archives in archives
_BLOB = re.compile(rb"base64,([A-Za-z0-9+/]{64,}={0,2})")
_ZIP, _GZIP, _PARQUET = b"PK\x03\x04", b"\x1f\x8b", b"PAR1"
_UNREADABLE = (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError)

Bytes = bytes | mmap.mmap


class Content(NamedTuple):
    """Bytes of a file, or of a part of it, and the clips that a column `clip_id` in it names."""

    data: Bytes
    clips: frozenset[str] = frozenset()


def contents(path: Path) -> Iterator[Content]:
    """Yield the bytes of a file, and those of what is packed in it."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from _opened(data, path, 0)


def _opened(data: Bytes, source: Path | io.BytesIO, depth: int) -> Iterator[Content]:
    """Yield `data` and what it holds; what looks like an archive and is none stays as it is."""
    yield Content(data, _csv_clips(data, source))
    if depth >= _DEEPEST:
        return
    head = data[:4]
    try:
        if head == _ZIP:
            yield from _members(source, depth)
        elif head[:2] == _GZIP:
            inner = gzip.decompress(data[:])
            yield from _opened(inner, io.BytesIO(inner), depth + 1)
        elif head == _PARQUET:
            yield _table(source)
    except _UNREADABLE:
        return
    for found in _BLOB.finditer(data):
        blob = found[1]
        yield Content(base64.b64decode(blob + b"=" * (-len(blob) % 4)))


def _members(source: Path | io.BytesIO, depth: int) -> Iterator[Content]:
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            inner = archive.read(name)
            yield from _opened(inner, io.BytesIO(inner), depth + 1)


def _table(source: Path | io.BytesIO) -> Content:
    """Return the cells of a parquet table: texts as lines, numbers and lists of numbers as their bytes."""
    table = pd.read_parquet(source)
    parts: list[bytes] = []
    for name in table.columns:
        cells = table[name]
        if pd.api.types.is_numeric_dtype(cells):
            parts.append(np.ascontiguousarray(cells.to_numpy()).tobytes())
        else:
            parts += [
                cell.tobytes() if isinstance(cell, np.ndarray) else f"{cell}\n".encode() for cell in cells
            ]
    clips = table["clip_id"].astype(str) if "clip_id" in table else []
    return Content(b"".join(parts), frozenset(name for clip in clips for name in names_of(clip)))


def _csv_clips(data: Bytes, source: Path | io.BytesIO) -> frozenset[str]:
    """Return the clips of a table as text, none if `data` is something else."""
    header = data[: data.find(b"\n") + 1]
    if b"clip_id" not in header.strip().split(b","):
        return frozenset()
    try:
        clips = read_csv(source, dtype=str, keep_default_na=False, usecols=["clip_id"])["clip_id"]
    except ValueError:
        return frozenset()
    return frozenset(name for clip in clips for name in names_of(clip))
