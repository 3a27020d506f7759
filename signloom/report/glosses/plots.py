"""The figures of the gloss family; a variant has the same style in all of them."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from signloom.console import number_of
from signloom.params.variants import VARIANTS
from signloom.report import drawing
from signloom.report.glosses.tables import SETS
from signloom.report.labels import DECODERS


def curves(
    name: str,
    caption: str,
    epochs: pd.DataFrame,
    column: str,
    limit: float | None = None,
    marked: pd.DataFrame | None = None,
    smoothed: bool = False,
) -> drawing.Picture:
    """Draw `column` over epochs: a thick line per variant, the mean over its runs, and a thin line per run.

    `epochs` has `run, variant, epoch` and `column`; `limit` is a horizontal line; `marked` has the points to
    mark as `variant, epoch, value`. With `smoothed` the thick line is smoothed; thin lines are raw values.
    """
    known = epochs.dropna(subset=[column])
    shown = [variant for variant in VARIANTS if (known["variant"] == variant).any()]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for variant in shown:
            _variant_line(axes, known[known["variant"] == variant], column, smoothed)
        if limit is not None:
            axes.axhline(limit, color=drawing.INK, linestyle="--", linewidth=1.2)
            edge: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
            axes.annotate(f"dashed: collapse, {limit:g}", (1, 1), (0, 3), fontsize=9, **edge)
            axes.set_ylim(0, 1.02)
        elif known[column].min() >= 0:
            axes.set_ylim(bottom=0)
        if marked is not None:
            _mark(axes, marked)
        axes.set_xlabel("epoch")
        drawing.whole_numbers(axes)
        figure.legend(loc="outside upper left", ncols=2)

    alt = f"{caption} {' '.join(_said(known, variant, column, limit) for variant in shown)}"
    return drawing.picture(name, caption, alt, draw, drawing.HEIGHT + 0.2 * ((len(shown) + 1) // 2))


def _variant_line(axes: Axes, part: pd.DataFrame, column: str, smoothed: bool) -> None:
    variant = str(part["variant"].iloc[0])
    number = list(VARIANTS).index(variant)
    colour = drawing.SERIES[number]
    runs = part.groupby("run", sort=False)
    if smoothed or len(runs) > 1:
        for _, run in runs:
            axes.plot(run["epoch"], run[column], color=colour, alpha=0.5, linewidth=0.8)
    mean = part.groupby("epoch")[column].mean()
    line = drawing.smooth(mean) if smoothed else mean
    # a line of one epoch is nothing without a mark
    mark = drawing.MARKS[number] if len(mean) == 1 else None
    axes.plot(mean.index, line, color=colour, linestyle=drawing.LINES[number], marker=mark, label=variant)


def _mark(axes: Axes, points: pd.DataFrame) -> None:
    for number, variant in enumerate(VARIANTS):
        part = points[points["variant"] == variant]
        axes.plot(
            part["epoch"], part["value"], drawing.MARKS[number], color=drawing.SERIES[number], clip_on=False
        )


def _said(known: pd.DataFrame, variant: str, column: str, limit: float | None) -> str:
    mean = known[known["variant"] == variant].groupby("epoch")[column].mean()
    text = drawing.ends(variant, mean)
    if limit is not None:
        epochs = number_of(len(mean), "epoch", "epochs")
        text += f", above {limit:g} in {int((mean > limit).sum())} of {epochs}"
    return text + "."


def decoders(data: str, points: pd.DataFrame) -> drawing.Picture:
    """Draw word error rates of one data set: a row per variant, a mark per decoder.

    `points` has `variant, decoder, wer, low, high, seeds`, in the pipeline's order.
    """
    shown = [variant for variant in VARIANTS if (points["variant"] == variant).any()]
    read = [name for name in DECODERS if (points["decoder"] == name).any()]
    many = int(points["seeds"].max()) > 1

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for number, decoder in enumerate(read):
            part = points[points["decoder"] == decoder]
            places = part["variant"].map(shown.index) + 0.17 * (number - (len(read) - 1) / 2)
            drawing.rate_marks(axes, part, places, DECODERS[decoder], number, flat=True)
        axes.set_yticks(range(len(shown)), shown)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("word error rate")
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=2)

    lines = "from the lowest to the highest seed" if many else "95 % intervals"
    caption = f"{SETS[data]}: word error rate by variant and decoder. Lines are {lines}."
    figures = "; ".join(
        f"{row['variant']}, {DECODERS[row['decoder']]}: {row['wer']:.3f}" for row in points.to_dict("records")
    )
    return drawing.picture(
        f"gloss-wer-{data}", caption, f"{caption} {figures}.", draw, 1.1 + 0.62 * len(shown)
    )
