"""Checks of params.yaml as a whole: values that do not fit each other, and numbers that no machine can do."""

import math
from collections.abc import Iterator
from typing import Any

from signloom.params.schema import Params
from signloom.params.variants import SENTENCE_VARIANTS, VARIANTS

_LARGEST = 10_000_000  # of any count; no corpus, network or number of threads comes near it
_LARGEST_RATE = 1000.0  # frames a second; above it, a slip of a digit is likelier than a camera


def complaints(params: Params) -> Iterator[str]:
    """Yield `key: what is wrong and what to do` for every value that cannot work beside the others."""
    yield from _numbers(params.model_dump())
    yield from _braces(params)
    yield from _rates(params)
    yield from _repeated(params)
    yield from _heads(params)
    yield from _contrasts(params)
    yield from _splits(params)
    yield from _copies(params)
    yield from _pairs(params)
    clip = params.clip_features
    if clip.crop > clip.resize:
        yield (
            f"clip_features.crop: {clip.crop} pixels do not fit into clip_features.resize, the shorter side; "
            f"expected at most {clip.resize}"
        )


def _copies(params: Params) -> Iterator[str]:
    needing = [name for name in params.gloss.variants if VARIANTS[name].copies]
    if "gloss" in params.pipeline.families and needing and not params.frames.copies:
        yield f"frames.copies: {needing[0]} of gloss.variants trains on copies; expected 1 or more"


def _pairs(params: Params) -> Iterator[str]:
    """Yield a complaint for an augmentation of pairs of x and y where the columns are those of landmarks."""
    changed = [key for key, value in params.gloss_positions if value and key != "offset_columns"]
    alone = any(VARIANTS[name].features(params.tcn.input) == {"pose"} for name in params.gloss.variants)
    trained = "gloss" in params.pipeline.families and alone
    if trained and changed and not params.dataset.holds_features:
        yield (
            f"gloss_positions.{changed[0]}: only for feature rows, but the clips are videos or landmarks; "
            "set it to 0, and use gloss_pose_augment"
        )


def _numbers(tree: Any, key: str = "") -> Iterator[str]:
    """Yield a complaint for every number in `tree` that is not finite, and for every absurd count."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _numbers(value, f"{key}.{name}" if key else str(name))
    elif isinstance(tree, list):
        for value in tree:
            yield from _numbers(value, key)
    elif isinstance(tree, float) and not math.isfinite(tree):
        yield f"{key}: expected a finite number, found {tree}"
    elif isinstance(tree, int) and tree > _LARGEST and "seed" not in key.rpartition(".")[2]:
        yield f"{key}: expected at most {_LARGEST:,}, found {tree:,}"


def _braces(params: Params) -> Iterator[str]:
    """Yield a complaint for every path with a brace, which Snakemake would take for one of its wildcards."""
    for name in ("importer", "table", "videos", "variations", "review"):
        path = getattr(params.dataset, name)
        if path and set(path) & {*"{}"}:
            yield f"dataset.{name}: {path} has a brace, which Snakemake reads as its own; rename it without"


def _rates(params: Params) -> Iterator[str]:
    rates = {
        "dataset.frame_rate": params.dataset.frame_rate,
        "landmarks.max_fps": params.landmarks.max_fps,
        "pose.fps": params.pose.fps,
        "clip_features.extraction_fps": params.clip_features.extraction_fps,
    }
    for key, rate in rates.items():
        if rate and rate > _LARGEST_RATE:
            yield f"{key}: expected at most {_LARGEST_RATE:g} frames a second, found {rate:g}"


def _repeated(params: Params) -> Iterator[str]:
    lists: dict[str, list[str]] = {
        "pipeline.families": list(params.pipeline.families),
        "gloss.variants": list(params.gloss.variants),
    }
    for key, values in lists.items():
        if twice := sorted({value for value in values if values.count(value) > 1}):
            yield f"{key}: {twice[0]} stands here twice; name each once"


def _heads(params: Params) -> Iterator[str]:
    """Yield a complaint for every attention whose heads cannot share its width."""
    sign2text, glosses = params.sign2text, params.gloss.variants
    families, networks = params.pipeline.families, []
    encoders = {sign2text.encoder, *(changes.get("encoder") for changes in _variants(params))}
    if "sign2text" in families and (sign2text.task == "sentences" or "transformer" in encoders):
        networks.append(("sign2text", sign2text.heads, "sign2text.width", sign2text.width))
    if "gloss" in families and any(not VARIANTS[name].ctc_alone for name in glosses):
        networks.append(("hybrid", params.hybrid.heads, "train_gloss.width", params.train_gloss.width))
    for section, heads, key, width in networks:
        if width % heads:
            yield (
                f"{section}.heads: {heads} heads cannot share {key} {width} equally; "
                f"expected a divisor of {width}"
            )


def _variants(params: Params) -> list[dict[str, Any]]:
    """Return what each variant of sign2text that is trained changes."""
    return [SENTENCE_VARIANTS[name][1] for name in params.runs.sign2text_variants]


def _contrasts(params: Params) -> Iterator[str]:
    """Yield a complaint for contrastive losses whose batches have nothing to tell apart."""
    p = params.sign2text
    weights = [p.lambda_clip, p.lambda_supcon]
    weights += [changes.get("lambda_supcon", 0.0) for changes in _variants(params)]
    alone = p.batch_size <= p.instances_per_class
    if "sign2text" in params.pipeline.families and alone and any(weights):
        yield (
            f"sign2text.batch_size: {p.batch_size} clips, with {p.instances_per_class} of a sentence "
            "(instances_per_class), are of one sentence, and contrastive losses need several; "
            f"expected more than {p.instances_per_class}"
        )


def _splits(params: Params) -> Iterator[str]:
    splits, runs = params.splits, params.runs
    if splits.mode != "predefined" and splits.val_share + splits.test_share >= 1:
        yield (
            f"splits.val_share: {splits.val_share:g} and splits.test_share {splits.test_share:g} leave "
            "nothing for training; expected a sum below 1"
        )
    if not runs.folds:
        return
    if runs.fold_by == "clip" and splits.mode != "predefined":
        yield (
            "runs.fold_by: clip divides the table's own training clips and needs splits.mode predefined, "
            f"found {splits.mode}; part divides all clips"
        )
    if runs.fold_by == "part" and len(runs.folds) < 3 and splits.val_share > 0:
        yield (
            "runs.folds: two parts leave nothing for training, because one is tested and one validates; "
            "name three or more, or set splits.val_share to 0"
        )
