"""The model card: intended use, limits and measured scores of a bundle."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2

from signloom.export.metrics import Tree, figures


def write_card(about: Tree, corpus: dict[str, Tree], **more: Any) -> str:
    """Return MODEL_CARD.md.

    `about` are the entries of the manifest, `corpus` the metric files on the data. `more` are `networks` (a
    line each), the number of `sentences`, and whether the corpus is the `demo`.
    """
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    card = environment.from_string(Path(__file__).with_name("model_card.md.j2").read_text("utf-8"))
    return card.render(about | corpus | {"figures": list(_rows(about["metrics"]))} | more)


def _rows(metrics: dict[str, Tree]) -> Iterator[tuple[str, ...]]:
    """Yield file, data, name, value, interval and number of clips of every figure."""
    for file, tree in metrics.items():
        for where, name, near in figures(tree):
            low, high = (_number(near.get(f"{name}_{end}")) for end in ("low", "high"))
            interval = f"{low} to {high}" if low and high else ""
            yield file, where, name, _number(near[name]), interval, str(near.get("n", ""))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
