"""Files that parameters name, and rows that they need: what is missing is said before the first job."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from signloom.params.schema import Params
from signloom.params.variants import VARIANTS

_NO_FILES = ("pretrained", "random")


def missing_inputs(params: Params) -> Iterator[str]:
    """Yield a complaint for everything that parameters name, that is read, and that is not there.

    Columns can be made of feature rows alone, and standardised by signer, not of videos.
    """
    if params.positions.normalise_by == "signer" and not params.dataset.holds_features:
        yield "positions.normalise_by: signer is for feature rows; lay the preset over one that has them"
    if params.positions.groups and not params.dataset.holds_features:
        yield "positions.groups: they are made of feature rows; lay the preset over one that has them"
    if not Path(params.dataset.table).name:
        yield f"dataset.table: {params.dataset.table} holds the project; name a file or a folder in it"
    videos = Path(params.dataset.videos)
    if not videos.is_dir():
        yield f"dataset.videos: {videos} is not a folder; correct the parameter, or connect its disk"
    elif not os.access(videos, os.X_OK):  # a table that names each video needs no list of them
        yield f"dataset.videos: {videos} may not be read by you; ask its owner for the right to read it"
    # files beside a model may be in the home folder; Snakemake takes no `~` for files of its own
    weights, encoder = (
        str(Path(path).expanduser()) for path in (params.clip_features.weights, params.text.encoder)
    )
    own_encoder = "sign2text" in params.pipeline.families and _is_folder(params.text.encoder)
    named: dict[str, Sequence[str | None]] = {
        "dataset.table": [params.dataset.table],
        "dataset.review": [params.dataset.review],
        "dataset.variations": [params.dataset.variations],
        "report.recipes": params.report.recipes,
        "clip_features.weights": [weights] if reads_windows(params) and weights not in _NO_FILES else [],
        "text.encoder": [encoder] if own_encoder else [],
    }
    for key, paths in named.items():
        for path in paths:
            if (
                path
                and key.startswith("dataset.")
                and Path(path).resolve().is_relative_to(Path("build").resolve())
            ):
                yield f"{key}: {path} is below build/, where stages write and delete; copy it elsewhere"
            elif path and not Path(path).exists():
                whole = "write the whole path in place of ~" if path.startswith("~") else "put the file there"
                yield f"{key}: {path} does not exist; correct the parameter, or {whole}"
            elif path and key.startswith("dataset.") and not os.access(path, os.R_OK):
                yield f"{key}: {path} may not be read by you; ask its owner for the right to read it"


def reads_windows(params: Params) -> bool:
    """Return whether a variant that is trained reads clip features."""
    kinds = [VARIANTS[name].features(params.tcn.input) for name in params.gloss.variants]
    return "gloss" in params.pipeline.families and any("clip" in kind for kind in kinds)


def _is_folder(encoder: str) -> bool:
    """Return whether the name of a text encoder can only be a folder: that of a hub has one slash at most."""
    return encoder.startswith((".", "/", "~")) or encoder.count("/") > 1
