"""Read JSON annotation files, with errors that name the file and the place in it."""

import reprlib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from signloom.errors import SignloomError

Shape = TypeVar("Shape")

NUMBERS_AS_TEXT = ConfigDict(coerce_numbers_to_str=True)


class Entry(BaseModel):
    """A JSON object; other keys than those of its class are ignored, and a number may stand for a text."""

    model_config = NUMBERS_AS_TEXT


def read_json(file: Path, shape: TypeAdapter[Shape]) -> Shape:
    """Return what `file` holds; raises SignloomError with the first place that has another shape.

    A place is a path such as `[3].instances[0].fps`, where entries count from 0.
    """
    try:
        return shape.validate_json(file.read_text("utf-8-sig"))
    except OSError as error:
        raise SignloomError(f"{file}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise SignloomError(f"{file}: {_first_problem(error)}") from error
    except UnicodeDecodeError as error:
        raise SignloomError(f"{file}: not readable as JSON: {error}") from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    if first["type"] == "json_invalid":
        return f"not readable as JSON: {first['ctx']['error']}"
    if first["type"] == "missing":
        return f"{place.removeprefix('.')} is missing"
    return f"{place.removeprefix('.') or 'the file'}: {first['msg']}, found {reprlib.repr(first['input'])}"
