"""Read JSON annotation files, with errors that name the file."""

import json
from pathlib import Path
from typing import Any

from signloom.errors import SignloomError


def object_in(file: Path) -> dict[str, Any]:
    """Return the JSON object in `file`; raises SignloomError for anything else."""
    found = _json(file)
    if not isinstance(found, dict):
        raise SignloomError(f"{file}: expected a JSON object, found {type(found).__name__}")
    return found


def entries_in(file: Path, keys: list[str]) -> list[dict[str, Any]]:
    """Return the list of JSON objects in `file`; raises SignloomError unless all of them have `keys`."""
    found = _json(file)
    if not isinstance(found, list):
        raise SignloomError(f"{file}: expected a JSON list, found {type(found).__name__}")
    for number, entry in enumerate(found, start=1):
        missing = keys if not isinstance(entry, dict) else [key for key in keys if key not in entry]
        if missing:
            raise SignloomError(f"{file}: entry {number}: {missing[0]!r} is missing")
    return found


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise SignloomError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SignloomError(f"{file}: not readable as JSON: {error}") from error
