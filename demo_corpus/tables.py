"""The tables of the corpus: YAML files beside the code, whose rows are checked against a dataclass."""

from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from signloom.errors import SignloomError
from signloom.params.load import complaint, read_yaml

KNOWN_KEYS_ALONE = ConfigDict(extra="forbid")
Row = TypeVar("Row")


def read_table(table: str, kind: type[Row], name: str) -> tuple[Row, ...]:
    """Return the rows of `<table>.yaml` as `kind`, a pydantic dataclass; a row's key is its field `name`.

    Raises SignloomError that names the file and the key of the first wrong value.
    """
    file, checked = Path(__file__).with_name(f"{table}.yaml"), TypeAdapter(kind)
    rows = []
    for key, values in read_yaml(file, anchors=True).items():
        try:
            rows.append(checked.validate_python({name: key, **values}))
        except ValidationError as error:
            place = ".".join(str(part) for part in (key, *error.errors()[0]["loc"]))
            raise SignloomError(f"{file}: {place}: {complaint(error)}") from error
    return tuple(rows)
