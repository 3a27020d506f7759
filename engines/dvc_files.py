"""Where DVC's files of a build are, and what their stages say."""

from pathlib import Path
from typing import Any

import yaml

from signloom.errors import PRESETS
from signloom.preset_names import folder_of


def target(root: Path, preset: str | None) -> Path:
    """Return the path of the dvc.yaml of `preset`."""
    return root / (PRESETS / folder_of(preset) / "dvc.yaml" if preset else Path("dvc.yaml"))


def stages_of(preset: str | None) -> dict[str, Any]:
    """Return the stages in the dvc.yaml of `preset` by name, none if it is not there or damaged."""
    return _stages(target(Path(), preset))


def locked_of(preset: str | None) -> dict[str, Any]:
    """Return the stages in the dvc.lock of `preset` by name, none if it is not there or damaged."""
    return _stages(target(Path(), preset).with_name("dvc.lock"))


def _stages(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
        # the file has thousands of lines; PyYAML's own parser would take seconds
        tree = yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (FileNotFoundError, yaml.YAMLError):
        return {}  # DVC, which reads it too, says what is wrong
    return dict((tree or {}).get("stages") or {})
