"""The section of the page about the learning curve."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from signloom.evaluation.learning_curve import are_signs
from signloom.report.drawing import MARKS, SERIES, Picture, picture
from signloom.report.labels import DATA, LABELS
from signloom.report.runs import WER
from signloom.report.tables import DASH, Cell, Metric, Notes, Table, score_cell

_EXPONENT = Metric("exponent", "Exponent", decimals=2)


def describe(runs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the template's values for runs.json, or None if its folds are no shares."""
    found = runs.get("learning_curve")
    if not found:
        return None
    curves = {model: {data: entry[data] for data in DATA if data in entry} for model, entry in found.items()}
    return {
        "answers": [(model, entry["answer"]) for model, entry in found.items()],
        "picture": _picture(curves),
        "table": _table(curves),
    }


def _table(curves: Mapping[str, Mapping[str, Any]]) -> Table:
    notes = Notes()
    clips = list(next(iter(next(iter(curves.values())).values()))["by_clips"])
    rows = [
        [
            model,
            Cell(DATA[data], f"n\u00a0=\u00a0{curve['n']}"),
            *(score_cell(curve["by_clips"][number], WER, notes) for number in clips),
            score_cell(curve, _EXPONENT, notes),
            _more(curve),
        ]
        for model, of_model in curves.items()
        for data, curve in of_model.items()
    ]
    columns = ["Model", "Data", *(f"{number} clips" for number in clips)]
    columns += ["Exponent", "More clips for half the error"]
    caption = f"{_rate_of(curves)} by number of training clips, and the power law through it"
    return Table("learning-curve", caption, columns, rows, notes.listed(), numeric=2)


def _rate_of(curves: Mapping[str, Mapping[str, Any]]) -> str:
    signs = all(are_signs(curve) for of_model in curves.values() for curve in of_model.values())
    return "Sign error rate" if signs else "Word error rate"


def _more(curve: Mapping[str, Any]) -> str | Cell:
    if curve["exponent"] is None:
        return DASH
    number, low, high = (curve[f"more_clips{end}"] for end in ("", "_low", "_high"))
    if low is None:
        return str(curve["verdict"])
    far = "over 100 times"
    return Cell(f"{number:,}" if number else far, f"{low:,} to {f'{high:,}' if high else far}")


def _picture(curves: Mapping[str, Mapping[str, Any]]) -> Picture:
    """Draw every model's error rates over clips and the fitted lines, a panel per model, on one scale."""
    rows = -(-len(curves) // 2)
    names = [data for data in DATA if any(data in of_model for of_model in curves.values())]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, min(2, len(curves)), sharex=True, sharey=True, squeeze=False).flat
        for axes, (model, of_model) in zip(panels, curves.items(), strict=False):
            axes.set_title(model, fontsize=10, loc="left")
            for data, curve in of_model.items():
                _draw_curve(axes, curve, DATA[data], names.index(data))
        for axes in list(panels)[len(curves) :]:
            axes.set_visible(False)
        figure.supxlabel("training clips", fontsize=10)
        figure.supylabel(_rate_of(curves).lower(), fontsize=10)
        handles = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=2)

    ends = "; ".join(
        f"{model}, {DATA[data]}: {rates[0]:.3f} to {rates[-1]:.3f}"
        for model, of_model in curves.items()
        for data, curve in of_model.items()
        for rates in [[point["wer"] for point in curve["by_clips"].values()]]
    )
    caption = LABELS["captions"]["learning-curves"]
    alt = f"{_rate_of(curves)} from the fewest to the most training clips. {ends}."
    return picture("learning-curves", caption, alt, draw, 0.8 + 1.7 * rows)


def _draw_curve(axes: Axes, curve: Mapping[str, Any], label: str, number: int) -> None:
    """Draw the points of a curve, their intervals, and its line."""
    least = 0.5 / curve["words"]
    clips = [int(name) for name in curve["by_clips"]]
    points = list(curve["by_clips"].values())
    colour = SERIES[number % len(SERIES)]
    shown, low, high = ([max(point[f"wer{end}"], least) for point in points] for end in ("", "_low", "_high"))
    axes.vlines(clips, low, high, color=colour, linewidth=1.2)
    axes.plot(clips, shown, MARKS[number % len(MARKS)], color=colour, label=label, clip_on=False)
    if curve["exponent"] is not None:
        axes.plot(clips, [point["line"] for point in points], color=colour, linewidth=1)
    axes.loglog()
    axes.set_xticks(clips, [str(one) for one in clips])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    # within a decade some more rates have labels, as many as there is room for
    labelled = "1234568" if max(high) < 10 * min(low) else ""
    minor = FuncFormatter(lambda rate, _: f"{rate:g}" if f"{rate:e}"[0] in labelled else "")
    axes.yaxis.set_minor_formatter(minor)
