"""Write a generated file of the project in one step."""

import sys
from pathlib import Path

from signloom.disk import disk_error
from signloom.files import write_text


def write_generated(path: Path, text: str) -> int:
    """Write `text` to `path` whole or not at all; return the exit code, 2 after one line about the disk."""
    try:
        write_text(path, text)
    except OSError as error:
        if (known := disk_error(error, "generated file", path.parent)) is None:
            raise
        print(f"error: {known}", file=sys.stderr)
        return 2
    return 0
