"""Write config/params.schema.json, the JSON schema of params.yaml and presets, for editors and other tools.

python -m engines.params_schema

It is generated from `signloom.params`, which checks the keys. The schema requires no key, because a preset
has only the keys that differ; loading params.yaml checks that it has every key.
"""

import json
import sys
from pathlib import Path
from typing import Any

from engines.generated import write_generated
from signloom.params.schema import Params

TARGET = Path("config/params.schema.json")


def render() -> str:
    """Return the text of the schema."""
    return json.dumps(_plain(Params.model_json_schema()), indent=2) + "\n"


def _plain(node: Any) -> Any:
    """Return `node` without made-up titles and without the lists of required keys."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if key != "required" and not _is_title(key, value)}
        return {key: _plain(value) for key, value in kept.items()}
    return [_plain(item) for item in node] if isinstance(node, list) else node


def _is_title(key: str, value: Any) -> bool:
    # the value of a parameter named `title` is a schema, not a text
    return key == "title" and isinstance(value, str)


if __name__ == "__main__":
    sys.exit(write_generated(TARGET, render()))
