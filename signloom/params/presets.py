"""Presets by name: where they lie, which names are taken, and the parameters that they give."""

import difflib
import re
from pathlib import Path

from signloom.errors import PARAMS_FILE, PRESETS, SignloomError, need_project
from signloom.params.load import Tree, check_params, overlay, read_yaml
from signloom.params.schema import Params
from signloom.preset_names import preset_file, readings

# folders of tables below metrics/ that no build writes
_TABLE_FOLDERS = {"recipes", "few_clips"}
# folders of products below build/, and those; a preset of this name would write into one of them
PRODUCT_FOLDERS = {
    *_TABLE_FOLDERS,
    *("shards", "landmarks", "pose_features", "clip_features", "clip_features_augmented", "text", "models"),
    *("embeddings", "inference", "predictions", "export", "report", "gloss", "seeds", "folds", "variants"),
    *("build", "logs", "benchmarks", "scratch", "records", "side_by_side", "review", "together", "code"),
}


def check_names(names: list[str]) -> None:
    """Raise SignloomError for presets whose names cannot name their folders below build/."""
    for name in names:
        # of a name that no file has, `read_preset` says which is meant
        odd = re.search(r"^[.-]|[^\w.+\u0300-\uffff-]|[\s/\\]", name)
        if odd and preset_file(name).exists():
            raise SignloomError(
                f"preset {name!r}: {odd[0]!r} cannot stand there in the name of a folder; rename its file"
            )
        if name in PRODUCT_FOLDERS:
            place = "metrics" if name in _TABLE_FOLDERS else "build"
            raise SignloomError(f"preset {name!r}: {place}/{name}/ is a folder of products; choose another")
        if names.count(name) > 1:
            raise SignloomError(f"preset {name!r} is named twice; name it once")
    joined = "-".join(names)
    for other in readings(joined):
        if other != names and len(names) > 1:
            whose = f"the preset {joined!r}" if len(other) == 1 else f"presets {','.join(other)}"
            raise SignloomError(
                f"presets {','.join(names)}: build/{joined}/ belongs to {whose}; rename one of them"
            )


def isolated_signs() -> Tree:
    """Return the keys of the preset for corpora of single signs: the project's, or that of the workflow."""
    own = preset_file("isolated_signs")
    return read_yaml(own if own.exists() else Path(__file__).parents[2] / own)


def read_preset(file: Path) -> Tree:
    """Return the keys of the preset in `file`; raises SignloomError with the nearest name if it is none."""
    if not file.exists():
        here = Path.cwd()
        shown = file.relative_to(here) if file.is_relative_to(here) else file
        # somebody may have typed a folder of videos
        known = sorted(
            path.stem for path in (file.parent if file.parent.is_dir() else PRESETS).glob("*.yaml")
        )
        typed = next(part for part in reversed(file.parts) if part != ".yaml")  # of `data/mine/`
        close = difflib.get_close_matches(typed.replace(".yaml", ""), known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise SignloomError(
            f"{shown} does not exist; {meant}expected one of {', '.join(known)}, or make one: signloom init"
        )
    return read_yaml(file)


def load_presets(names: list[str], last: Tree | None = None) -> Params:
    """Return the parameters of params.yaml, overridden by the presets in turn and then by `last`.

    Raises SignloomError if a file is missing or holds a wrong key or value.
    """
    need_project()
    check_names(names)
    files = [PARAMS_FILE, *map(preset_file, names)]
    tree = read_yaml(PARAMS_FILE)
    for file in files[1:]:
        tree = overlay(tree, read_preset(file))
    return check_params(overlay(tree, last or {}), files)
