"""The parameters that `snakemake --config 'section={key: value}'` sets."""

from typing import Any

from pydantic import ValidationError

from signloom.errors import SignloomError
from signloom.params.load import Tree, complaint
from signloom.params.schema import Params


def from_text(tree: Tree) -> Tree:
    """Return `tree` with the schema's types; Snakemake makes a text of every value of a mapping.

    Raises SignloomError if a text is no value of its parameter; unknown keys stay as they are.
    """
    return {
        name: {key: _typed(name, key, text) for key, text in values.items()}
        if isinstance(values, dict)
        else values
        for name, values in tree.items()
    }


def _typed(section: str, key: str, text: Any) -> Any:
    kind: Any = Params.model_fields[section].annotation if section in Params.model_fields else None
    if kind is None or key not in kind.model_fields:
        return text
    try:
        one = kind.only(key).model_validate({key: None if text == "null" else text}, strict=False)
    except ValidationError as error:
        raise SignloomError(f"--config: {section}.{key}: {complaint(error)}") from error
    return one.model_dump()[key]
