"""Metric files: JSON whose numbers carry the digits that mean something, the same on every machine.

Sums of floats differ between processors from about the tenth decimal on. Those digits say nothing of a model,
and they would bury what moved in `git diff` and `dvc metrics diff`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from signloom.files import write_json

DECIMALS = 4  # of a rate, a similarity, a motion
SCORE_DECIMALS = 2  # of sacreBLEU's scores between 0 and 100, as it prints them
_SCORES = ("bleu4", "chrf")


def write_metrics(path: Path, tree: dict[str, Any]) -> None:
    """Write a metric file: nested figures, rounded by `meaningful`; NaN is refused, as JSON has none."""
    write_json(path, meaningful(tree))


def meaningful(value: Any, name: str = "") -> Any:
    """Return `value`, the figure `name` or a tree of figures, with its floats rounded.

    BLEU and chrF, their bounds and spreads keep 2 decimals, every other float 4. So 0.0 stands for anything
    nearer to 0 than 0.00005, and never for a negative zero. Whole numbers, texts and nulls stay as they are.
    """
    if isinstance(value, dict):
        return {key: meaningful(part, str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [meaningful(part, name) for part in value]
    if isinstance(value, float):
        decimals = SCORE_DECIMALS if any(score in name for score in _SCORES) else DECIMALS
        return round(float(value), decimals) + 0.0  # makes 0.0 of -0.0
    return value
