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
_NUMPY, _UTF16 = b"\x93NUMPY", (b"\xff\xfe", b"\xfe\xff")
_HEADER, _CHUNK = 1 << 16, 1 << 20
_SEPARATORS = (",", ";", "\t", "|")
# a line that tells a spreadsheet the separator, as signloom.dataset.forms.table_files reads it
_TELLS_SEPARATOR = re.compile(rb'(\xef\xbb\xbf)?"?sep=."?\r?\n', re.IGNORECASE)
_JSON_CLIP = re.compile(rb'"clip_id"\s*:\s*"([^"\\]+)"')
_UNREADABLE = (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError)

Bytes = bytes | mmap.mmap


class Content(NamedTuple):
    """Bytes of a file, or of a part of it, and the clips that a column `clip_id` in it names.

    `unread` says what of it could not be read, "" if nothing.
    """

    data: Bytes
    clips: frozenset[str] = frozenset()
    unread: str = ""


def contents(path: Path) -> Iterator[Content]:
    """Yield the bytes of a file, and those of what is packed in it."""
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from _opened(data, path, 0)


def _opened(data: Bytes, source: Path | io.BytesIO, depth: int) -> Iterator[Content]:
    """Yield `data` and what it holds, and what of that cannot be read."""
    yield Content(data, _named_clips(data, source))
    if depth >= _DEEPEST:
        return
    head = data[:6]
    try:
        if head[:4] == _ZIP:
            yield from _members(source, depth)
        elif head[:2] == _GZIP:
            yield from _unzipped(data, depth)
        elif head[:4] == _PARQUET:
            yield _table(source)
        elif head == _NUMPY and re.search(rb"'descr': '[<>]U", data[:_HEADER]):
            texts = np.load(io.BytesIO(data[:]), allow_pickle=False)
            yield Content("\n".join(texts.ravel().tolist()).encode())
        elif head[:2] in _UTF16:
            inner = data[:].decode("utf-16").encode()
            yield from _opened(inner, io.BytesIO(inner), depth + 1)
    except _UNREADABLE as error:
        yield Content(b"", unread=_cannot(error))
    for found in _BLOB.finditer(data):
        blob = found[1]
        yield Content(base64.b64decode(blob + b"=" * (-len(blob) % 4)))


def _members(source: Path | io.BytesIO, depth: int) -> Iterator[Content]:
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            yield Content(f"\n{name}\n".encode())
            try:
                inner = archive.read(name)
            except _UNREADABLE as error:  # the others may be whole
                yield Content(b"", unread=_cannot(error))
            else:
                yield from _opened(inner, io.BytesIO(inner), depth + 1)


def _unzipped(data: Bytes, depth: int) -> Iterator[Content]:
    """Yield what a gzip file holds, as far as it can be read."""
    inner, unread = bytearray(), ""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        try:
            while part := file.read1(_CHUNK):
                inner += part
        except _UNREADABLE as error:
            unread = _cannot(error)
    yield from _opened(bytes(inner), io.BytesIO(inner), depth + 1)
    yield Content(b"", unread=unread)


def _cannot(error: BaseException) -> str:
    return f"cannot be read to its end: {str(error) or type(error).__name__}"


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


def _named_clips(data: Bytes, source: Path | io.BytesIO) -> frozenset[str]:
    """Return the clips of a table as text or of JSON, none if `data` is something else."""
    if data[:1] in (b"{", b"["):
        found = {match[1].decode("utf-8", "replace") for match in _JSON_CLIP.finditer(data)}
        return frozenset(name for clip in found for name in names_of(clip))
    first = told.end() if (told := _TELLS_SEPARATOR.match(data)) else 0
    header = data[first : min(data.find(b"\n", first) + 1, _HEADER)].decode("utf-8-sig", "replace").strip()
    lines = int(first > 0)
    for separator in _SEPARATORS:
        if "clip_id" not in [name.strip().strip('"') for name in header.split(separator)]:
            continue
        options = {"sep": separator, "encoding": "utf-8-sig", "skipinitialspace": True, "skiprows": lines}
        try:
            table = read_csv(source, dtype=str, keep_default_na=False, on_bad_lines="skip", **options)
        except ValueError:
            return frozenset()
        clips = table.rename(columns=lambda name: str(name).strip())["clip_id"].fillna("")
        return frozenset(name for clip in clips for name in names_of(clip.strip()))
    return frozenset()
