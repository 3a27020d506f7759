"""The figures of the corpus and of the landmarks-to-sentence family, and error rates by group."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from signloom.report import drawing
from signloom.report.labels import DATA


def lengths(clips: pd.DataFrame) -> drawing.Picture:
    """Draw histograms of clip lengths, a row per split, on one scale; `clips` has `split`, `num_frames`."""
    splits = [name for name in ("train", "val", "test") if (clips["split"] == name).any()]
    groups = {name: clips["num_frames"][clips["split"] == name] for name in splits}
    edges = np.histogram_bin_edges(clips["num_frames"].to_numpy(np.float64), bins=24)

    def draw(figure: Figure) -> None:
        _histograms(figure, groups, edges, "frames")
        drawing.whole_numbers(figure.axes[-1])

    medians = ", ".join(f"{name} {frames.median():.0f}" for name, frames in groups.items())
    alt = f"Histograms of clip lengths by split. Median frames: {medians}."
    return drawing.picture(
        "lengths", "Clip lengths by split, in frames.", alt, draw, 0.6 + 1.05 * len(splits)
    )


def motion(groups: dict[str, pd.Series], floor: float) -> drawing.Picture | None:
    """Draw histograms of the clips' mean motion, a row per group, on one scale, and the motion floor.

    `groups` maps a name to motion in shoulder widths a second; NaN (not measured) is left out. None if it
    was measured in no clip.
    """
    shown = {name: values.dropna() for name, values in groups.items() if values.notna().any()}
    if not shown:
        return None
    top = max([floor, *(float(values.max()) for values in shown.values())])
    edges = np.linspace(0, top * 1.02 or 1.0, 49)

    def draw(figure: Figure) -> None:
        titled = {f"{name} ({len(values)})": values for name, values in shown.items()}
        _histograms(figure, titled, edges, "mean motion, shoulder widths a second")
        for axes in figure.axes:
            axes.axvline(floor, color=drawing.INK, linestyle="--", linewidth=1.2)
        drawing.note(figure.axes[0], f"floor {floor:g}", floor, left=False, inside=True)

    ranges = "; ".join(f"{name}: {v.min():.2f} to {v.max():.2f}" for name, v in shown.items())
    alt = f"Histograms of mean motion in shoulder widths a second. Floor at {floor:g}. {ranges}."
    caption = "Mean motion of every clip; the dashed line is the motion floor (quality.motion_floor)."
    return drawing.picture("motion", caption, alt, draw, 0.6 + 1.05 * len(shown))


def _histograms(figure: Figure, groups: dict[str, pd.Series], edges: Any, unit: str) -> None:
    """Draw one histogram below the other, each with its name."""
    for row, (name, values) in enumerate(groups.items()):
        axes = figure.add_subplot(len(groups), 1, row + 1)
        colour = drawing.SERIES[row % len(drawing.SERIES)]
        axes.hist(values.to_numpy(np.float64), bins=edges, color=colour, histtype="stepfilled")
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.set_xlim(edges[0], edges[-1])
        axes.grid(visible=False, axis="x")
        axes.set_title(name, fontsize=10, loc="left")
        last = row == len(groups) - 1
        axes.tick_params(labelbottom=last)
        axes.set_xlabel(unit if last else "")
    figure.supylabel("clips", fontsize=10)


def curves(
    name: str, caption: str, history: pd.DataFrame, columns: dict[str, str], best: int
) -> drawing.Picture:
    """Draw `columns` (column to label) over epochs: raw values faint, smoothed ones strong, `best` marked.

    A column without values is left out; one with gaps (decoded in some epochs only) is not smoothed.
    """
    known = {column: label for column, label in columns.items() if history[column].notna().any()}

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for number, (column, label) in enumerate(known.items()):
            _curve(axes, history, column, label, number)
        axes.axvline(best, color=drawing.INK, linestyle=":", linewidth=1.2)
        drawing.note(axes, f"best, epoch {best}", best, left=best > history["epoch"].median())
        if min(history[column].min() for column in known) >= 0:
            axes.set_ylim(bottom=0)
        axes.set_xlabel("epoch")
        drawing.whole_numbers(axes)
        if len(columns) > 1:
            # a single curve also needs its name
            figure.legend(loc="outside upper left", ncols=1 if len(known) > 2 else 2)

    values = history.set_index("epoch")
    said = "; ".join(drawing.ends(label, values[column].dropna()) for column, label in known.items())
    alt = f"{caption} {said or 'No value was recorded'}. Best epoch: {best}."
    return drawing.picture(name, caption, alt, draw, drawing.HEIGHT + (0.55 if len(known) > 2 else 0.0))


def _curve(axes: Axes, history: pd.DataFrame, column: str, label: str, number: int) -> None:
    colour, mark = drawing.SERIES[number % len(drawing.SERIES)], drawing.MARKS[number % len(drawing.MARKS)]
    style = {"color": colour, "linestyle": drawing.LINES[number % len(drawing.LINES)], "label": label}
    values = history[["epoch", column]].dropna()
    if len(values) < len(history):
        axes.plot(values["epoch"], values[column], marker=mark, clip_on=False, **style)
        return
    axes.plot(values["epoch"], values[column], color=colour, alpha=0.5, linewidth=0.9)
    # a line of one epoch is nothing without a mark
    axes.plot(
        values["epoch"], drawing.smooth(values[column]), marker=mark if len(values) == 1 else None, **style
    )


def wer_by_length(groups: pd.DataFrame, name: str, unit: str) -> drawing.Picture:
    """Draw error rates by reference length in `unit`: a mark and 95 % interval per group and data set."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        names = [data for data in DATA if (groups["data"] == data).any()]
        for number, data in enumerate(names):
            part = groups[groups["data"] == data]
            shift = 0.12 * (number - (len(names) - 1) / 2)
            drawing.rate_marks(axes, part, part["group"].astype(float) + shift, DATA[data], number)
        axes.set_xlabel(f"{unit} in the reference")
        axes.set_ylabel("word error rate")
        axes.set_ylim(bottom=0)
        axes.margins(x=0.1)
        drawing.whole_numbers(axes)
        figure.legend(loc="outside upper left", ncols=2)

    alt = f"Word error rate by sentence length. {_worst(groups, unit)}"
    return drawing.picture(name, f"Word error rate by length of the reference in {unit}.", alt, draw)


def wer_by_signer(groups: pd.DataFrame, name: str, most: int = 24) -> drawing.Picture:
    """Draw the word error rate of the `most` signers with the most clips: a bar and a 95 % interval each."""
    shown = groups.sort_values(["n", "group"], ascending=[False, True]).head(most)[::-1]
    labels = [
        f"{drawing.shortened(row['group'] or 'unnamed')}, {short_data(row['data'])}"
        for row in shown.to_dict("records")
    ]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = np.arange(len(shown))
        error = np.abs(shown[["low", "high"]].to_numpy().T - shown["wer"].to_numpy())
        axes.barh(places, shown["wer"], color=drawing.SERIES[0], height=0.6)
        axes.errorbar(
            shown["wer"], places, xerr=error, fmt="none", color=drawing.INK, capsize=2, linewidth=1.2
        )
        axes.set_yticks(places, labels)
        axes.set_xlim(left=0)
        axes.set_xlabel("word error rate")
        axes.grid(visible=False, axis="y")

    caption = "Word error rate by signer."
    if len(shown) < len(groups):
        caption = f"Word error rate by signer: the {len(shown)} of {len(groups)} bars with the most clips."
    height = max(1.4, 0.8 + 0.34 * len(shown))
    return drawing.picture(name, caption, f"{caption} {_worst(groups, '')}", draw, height)


def short_data(data: Any) -> str:
    """Return the name of a data set as it stands beside a picture."""
    return str(DATA[data]).replace("Validation", "Val").replace(", unseen sentences", " unseen")


def _worst(groups: pd.DataFrame, unit: str) -> str:
    parts: Sequence[str] = [
        f"{DATA[data]}, {row['group'] or 'unnamed'} {unit}".strip()
        + f": {row['wer']:.3f} of {row['n']} clips"
        for data in DATA
        for row in groups[groups["data"] == data].nlargest(1, "wer").to_dict("records")
    ]
    return "Highest rate: " + "; ".join(parts) + "." if parts else "No clip was scored."
