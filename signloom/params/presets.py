"""Presets by name: where they lie, which names are taken, and the parameters that they give."""

from pathlib import Path

from signloom.errors import SignloomError
from signloom.params.load import Tree, check_params, overlay, read_yaml
from signloom.params.schema import Params

PARAMS_FILE = Path("params.yaml")
PRESETS = Path("config/presets")
# folders of products below build/; a preset of this name would write into one of them
PRODUCT_FOLDERS = {
    *("shards", "landmarks", "pose_features", "clip_features", "text", "models", "embeddings", "inference"),
    *("predictions", "export", "report", "gloss", "seeds", "folds", "variants", "logs", "benchmarks"),
    *("scratch", "side_by_side"),
}


def preset_file(name: str) -> Path:
    """Return the path of the preset `name`."""
    return PRESETS / f"{name}.yaml"


def isolated_signs() -> Tree:
    """Return the keys of the preset for corpora of single signs: the project's, or that of the workflow."""
    own = preset_file("isolated_signs")
    return read_yaml(own if own.exists() else Path(__file__).parents[2] / own)


def load_presets(names: list[str], last: Tree | None = None) -> Params:
    """Return the parameters of params.yaml, overridden by the presets in turn and then by `last`.

    Raises SignloomError if a file is missing or holds a wrong key or value.
    """
    if not PARAMS_FILE.exists():
        raise SignloomError(f"{PARAMS_FILE} is not in this folder; run the command in the project's folder")
    files = [PARAMS_FILE, *map(preset_file, names)]
    tree: Tree = {}
    for file in files:
        if not file.exists():
            known = ", ".join(sorted(path.stem for path in PRESETS.glob("*.yaml")))
            raise SignloomError(f"{file} does not exist; expected one of {known}, or make one: signloom init")
        tree = overlay(tree, read_yaml(file))
    return check_params(overlay(tree, last or {}), files)
