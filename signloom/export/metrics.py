"""The headline figures of the metric files, with their intervals."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# the most important figures of each metric file; files of gloss runs are in a folder `gloss`
HEADLINES = {
    "sign2text": ("wer", "bleu4", "chrf", "inst_top1"),
    "retrieval": ("ret_top1", "ret_mrr", "macro_accuracy"),
    "calibration": ("false_accept_rate", "accepted_and_right"),
    "gloss": ("wer",),
}
CORPUS = ("features", "splits")
# parts that are left out: other tasks, and decoders that a bundle does not use
_LEFT_OUT = ("leave_one_out", "ctc_beam", "joint")

# numbers of clips, of those to accept and of those to refuse
COUNTS = ("n", "n_in", "n_out")

Tree = dict[str, Any]


def read_metrics(paths: Sequence[Path]) -> dict[str, Tree]:
    """Return the metric files by name; those of gloss runs are named `gloss/<run>`."""
    return {_name(path): json.loads(path.read_text("utf-8")) for path in paths}


def headlines(metrics: dict[str, Tree]) -> dict[str, Tree]:
    """Return the figures of `HEADLINES` for each file, with bounds and `n`, nested as in the file."""
    found = {name: _pick(tree, _wanted(name)) for name, tree in sorted(metrics.items()) if _wanted(name)}
    return {name: tree for name, tree in found.items() if tree}


def figures(tree: Tree, where: tuple[str, ...] = ()) -> Iterator[tuple[str, str, Tree]]:
    """Yield path, name and enclosing entries of every figure in one file of `headlines`."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from figures(value, (*where, name))
        elif name not in COUNTS and not name.endswith(("_low", "_high")):
            yield " / ".join(where), name, tree


def _name(path: Path) -> str:
    return f"gloss/{path.stem}" if path.parent.name == "gloss" else path.stem


def _wanted(name: str) -> tuple[str, ...]:
    return HEADLINES.get(name.partition("/")[0], ())


def _pick(tree: Tree, wanted: tuple[str, ...]) -> Tree:
    """Return the part of `tree` that holds the figures `wanted`, without undefined ones."""
    names = [name for name in wanted if isinstance(tree.get(name), int | float)]
    bounds = [f"{name}_{end}" for name in names for end in ("low", "high")]
    kept = {name: tree[name] for name in (*names, *bounds, *COUNTS) if names and name in tree}
    trees = {name: value for name, value in tree.items() if isinstance(value, dict) and name not in _LEFT_OUT}
    inner = {name: _pick(value, wanted) for name, value in trees.items()}
    return kept | {name: value for name, value in inner.items() if value}
