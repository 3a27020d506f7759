"""The figures of calibration: right answers against false accepts."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from signloom.report.drawing import INK, MARKS, SERIES, Picture, note, picture
from signloom.report.labels import LABELS

ALL = "all"


def calibration(curve: pd.DataFrame, most: float) -> Picture:
    """Draw the share accepted and right over the false-accept rate of all out-of-set clips.

    `curve` is the output of calibrate: `kind, false_accept_rate, accepted_and_right, chosen`; `most` is the
    highest rate that was allowed.
    """
    points = curve[curve["kind"] == ALL].sort_values(["false_accept_rate", "accepted_and_right"])

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        _points(axes, points, 0, "steps-post")
        axes.axvline(most, color=INK, linestyle="--", linewidth=1.2)
        right = min(1.0, max(1.25 * float(points["false_accept_rate"].max()), 2 * most, 0.02))
        note(axes, f"at most {most:g}", most, left=most > right / 2)
        axes.set_xlim(0, right)
        axes.set_xlabel("false-accept rate, all out-of-set clips")
        axes.set_ylabel("accepted and right")

    (chosen,) = points[points["chosen"] == 1].to_dict("records")
    ends = "; ".join(
        f"{row['accepted_and_right']:.3f} at {row['false_accept_rate']:.3f}"
        for row in points.iloc[[0, -1]].to_dict("records")
    )
    alt = (
        f"Share accepted and right over false-accept rate: {ends}. "
        f"Chosen: {chosen['accepted_and_right']:.3f} at {chosen['false_accept_rate']:.3f}, "
        f"where at most {most:g} is allowed."
    )
    return picture("calibration", LABELS["captions"]["calibration"], alt, draw)


def by_kind(curve: pd.DataFrame, names: dict[str, str]) -> Picture:
    """Draw the same for each kind of out-of-set clip, on one scale; `names` maps kinds to their names."""
    shown = [kind for kind in names if (curve["kind"] == kind).any()]
    rows = -(-len(shown) // 2)

    def draw(figure: Figure) -> None:
        for number, kind in enumerate(shown):
            axes = figure.add_subplot(rows, 2, number + 1)
            _points(axes, curve[curve["kind"] == kind], number, "default")
            axes.set_title(names[kind], fontsize=10, loc="left")
            axes.set_xlim(-0.04, 1.04)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            axes.tick_params(labelbottom=number + 2 >= len(shown), labelleft=number % 2 == 0)
        figure.supxlabel("false-accept rate of the kind", fontsize=10)
        figure.supylabel("accepted and right", fontsize=10)

    chosen = curve[curve["chosen"] == 1].set_index("kind")["false_accept_rate"]
    said = "; ".join(f"{names[kind]}: {chosen[kind]:.3f}" for kind in shown)
    alt = f"False-accept rate by kind of clip at the chosen thresholds: {said}."
    return picture("calibration-kinds", LABELS["captions"]["calibration-kinds"], alt, draw, 0.9 + 1.15 * rows)


def _points(axes: Axes, points: pd.DataFrame, series: int, style: str) -> None:
    chosen = points[points["chosen"] == 1]
    line = {"drawstyle": style, "color": SERIES[series % len(SERIES)], "marker": MARKS[0], "markersize": 3.5}
    diamond = {"linestyle": "none", "color": INK, "marker": MARKS[3], "markersize": 9}
    for part, look in ((points, line), (chosen, diamond)):
        axes.plot(part["false_accept_rate"], part["accepted_and_right"], clip_on=False, **look)
    axes.set_ylim(0, 1.05)
