"""Metric files: JSON with numbers rounded to meaningful digits, the same on every machine.

Sums of floats differ between processors from about the tenth decimal on. Those digits say nothing about a
model, and they would hide real changes in `git diff` and `dvc metrics diff`.
"""

from pathlib import Path
from typing import Any

from signloom.files import write_json

DECIMALS = 4  # for rates, similarities and motion
SCORE_DECIMALS = 2  # for sacreBLEU's scores between 0 and 100, as it prints them
_SCORES = ("bleu4", "chrf")


def write_metrics(path: Path, tree: dict[str, Any]) -> None:
    """Write nested figures, rounded by `meaningful`; raises ValueError for NaN, which JSON does not have."""
    write_json(path, meaningful(tree))


def meaningful(value: Any, name: str = "") -> Any:
    """Return `value`, the figure `name` or a tree of figures, with its floats rounded.

    BLEU and chrF, with their bounds and spreads, keep 2 decimals; every other float keeps 4. A value closer
    to 0 than 0.00005 becomes 0.0, never -0.0. Whole numbers, texts and nulls stay as they are.
    """
    if isinstance(value, dict):
        return {key: meaningful(part, str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [meaningful(part, name) for part in value]
    if isinstance(value, float):
        decimals = SCORE_DECIMALS if any(score in name for score in _SCORES) else DECIMALS
        return round(float(value), decimals) + 0.0  # turns -0.0 into 0.0
    return value
