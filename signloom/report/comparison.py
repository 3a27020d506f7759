"""The page of `signloom compare`: what moved between two builds, with a picture of the intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from signloom.evaluation.build_differences import METRICS, Comparison, Metric, Row
from signloom.evaluation.build_differences_text import figure_cells, row_cells, verdict
from signloom.files import write_text
from signloom.report.drawing import INK, PAGE, SERIES, Picture, picture
from signloom.report.page import template
from signloom.report.plots import short_data
from signloom.report.tables import Table


def write_page(path: Path, a: str, b: str, found: Comparison) -> None:
    """Write the comparison of the builds named `a` and `b` as one page that loads nothing."""
    page = template("comparison.html.j2").render(
        a=a,
        b=b,
        verdict=verdict(found),
        picture=forest(found.rows) if found.rows else None,
        rows=_table("moved", "Metrics that moved", [row_cells(row) for row in found.rows], 3),
        clips=_table("clips", "Errors and answers of both builds", list(map(_clip, found.clips)), 9),
        figures=_table("figures", "Figures that moved", list(map(figure_cells, found.figures)), 1),
    )
    write_text(path, page)


def _table(name: str, caption: str, rows: Sequence[Mapping[str, str]], numeric: int) -> Table:
    """Return the table of `rows`, whose keys are the columns; from `numeric` on they hold numbers."""
    cells = [
        [text.replace("-", "−") if place >= numeric else text for place, text in enumerate(row.values())]
        for row in rows
    ]
    columns = [column.replace("-", "−") for column in rows[0]] if rows else []
    return Table(name, caption, columns, cells, numeric=numeric)


def _clip(clip: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Clip": clip["clip_id"],
        "Model": clip["model"],
        "Data": clip["data"],
        "Errors": f"{clip['errors_a']:g} → {clip['errors_b']:g}",
        "Truth": clip["reference"],
        "A": clip["answer_a"] or "∅",
        "B": clip["answer_b"] or "∅",
    }


def forest(rows: Sequence[Row]) -> Picture:
    """Draw the difference and its interval of every row, in a panel per metric; filled marks differ."""
    panels = {name: part for name in METRICS if (part := [row for row in rows if row.metric == name])}
    heights = [len(part) for part in panels.values()]

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[n + 1 for n in heights])
        for place, (name, part) in zip(axes[:, 0], panels.items(), strict=True):
            _panel(place, METRICS[name], part)

    caption = (
        "Differences B − A with 95 % intervals. Filled marks are differences: by their corrected p, and by "
        "the intervals that count."
    )
    said = "; ".join(
        f"{row.metric} of {row.model}, {short_data(row.data)}: {row.difference:+.4g}, "
        f"{row.low:.4g} to {row.high:.4g}{', differs' if row.differs else ''}"
        for row in rows
    )
    return picture("forest", caption, f"{caption} {said}.", draw, 0.3 * sum(heights) + 0.8 * len(panels))


def _panel(axes: Axes, metric: Metric, rows: Sequence[Row]) -> None:
    for place, row in enumerate(rows):
        axes.plot([row.low, row.high], [place, place], color=SERIES[0])
        fill = SERIES[0] if row.differs else PAGE
        axes.plot(row.difference, place, "o", color=SERIES[0], markerfacecolor=fill, markersize=6)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(rows)), [f"{row.model}, {short_data(row.data)}" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{metric.name}, {metric.better} is better")
    axes.grid(visible=False, axis="y")
