"""The section of the page about recipes: what was compared on training clips before the recipe was chosen."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from signloom.errors import SignloomError
from signloom.report.tables import DASH, Cell, Metric, Table

# what the tables of benchmarks/ are scored by; the first that a table has puts its rows in order
_SCORES = [
    Metric("adapted_top1", "Found first, adapted to the signer", "higher"),
    Metric("top1", "Found first, by prototypes", "higher"),
    Metric("nearest_top1", "Found first, by the nearest clip", "higher"),
    Metric("held_out_wer", "Word error rate", "lower"),
]


def describe(tables: Mapping[Path, pd.DataFrame]) -> list[Table]:
    """Return a table for each of `tables`, which have the column `recipe` and a row per training and score.

    A mean is over the rows of a recipe, and stands above the lowest and the highest of them. Raises
    SignloomError for a table without recipes, rows or scores.
    """
    return [_table(number, path, table) for number, (path, table) in enumerate(tables.items(), 1)]


def _table(number: int, path: Path, table: pd.DataFrame) -> Table:
    scores = [metric for metric in _SCORES if metric.key in table.columns]
    if "recipe" not in table.columns or not scores or table.empty:
        keys = ", ".join(metric.key for metric in _SCORES)
        raise SignloomError(
            f"{path}: a table of recipes has rows, the column recipe and one of {keys}; "
            "write it by python -m benchmarks.recipes, or take it out of report.recipes"
        )
    groups = table.astype({metric.key: "float64" for metric in scores}).groupby("recipe", sort=False)
    first = scores[0]
    best = groups[first.key].mean().sort_values(ascending=first.better == "lower", kind="stable").index
    rows = []
    for name in best:
        found = groups.get_group(name)
        rows.append([name, len(found), *(_cell(found[metric.key]) for metric in scores)])
    headings = [f"{metric.label} ({metric.better} is better)" for metric in scores]
    caption = f"Means over the scores of each recipe, with the lowest and the highest; from {path.as_posix()}"
    return Table(f"recipes-{number}", caption, ["Recipe", "Scores", *headings], rows)


def _cell(values: "pd.Series[float]") -> Cell:
    values = values.dropna()
    if values.empty:
        return Cell(DASH)
    return Cell(f"{values.mean():.3f}", f"{values.min():.3f} to {values.max():.3f}")
