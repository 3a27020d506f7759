"""Write zip files that have the same bytes for the same content."""

import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

_START = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold


def write_zip(target: IO[bytes], content: Mapping[str, bytes | Path]) -> None:
    """Write bytes and files sorted by name, uncompressed because compressors differ between machines."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content):
            part = content[name]
            entry = zipfile.ZipInfo(name, _START)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
            entry.file_size = len(part) if isinstance(part, bytes) else part.stat().st_size
            with (
                io.BytesIO(part) if isinstance(part, bytes) else part.open("rb") as source,
                archive.open(entry, "w") as file,
            ):
                shutil.copyfileobj(source, file, 1 << 20)
