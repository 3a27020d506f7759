"""Sections of params.yaml for tests, with some of their values replaced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from signloom.params.base import Section
from signloom.params.load import load_params

S = TypeVar("S", bound=Section)
PARAMS = load_params(Path(__file__).parent.parent / "params.yaml")


def section(kind: type[S], **changed: Any) -> S:
    """Return the first section of params.yaml that is a `kind`, with the values `changed`."""
    values = next(values for _, values in PARAMS if isinstance(values, kind))
    return kind.model_validate(values.model_dump() | changed)


def params_json(sections: Mapping[str, Any]) -> str:
    """Return the `--params` of a stage: `sections`, each completed from params.yaml."""
    whole = PARAMS.model_dump(mode="json")
    return json.dumps({name: whole.get(name, {}) | values for name, values in sections.items()})
