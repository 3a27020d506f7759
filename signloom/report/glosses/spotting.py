"""Where signs occur, by one example of each: scores beside rivals, and the first clips of a few glosses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from signloom.metrics.spotting import CUT, EXAMPLE, KNOWN, METHODS, RAW, average_precision
from signloom.report import drawing
from signloom.report.drawing import Picture
from signloom.report.glosses.tables import SETS
from signloom.report.sources import SpottingSources
from signloom.report.tables import Cell, Metric, Notes, Table, score_cell

NAMES = {
    EXAMPLE: "by example",
    CUT: "example cut out",
    RAW: "untrained input",
    KNOWN: "known gloss",
}
_GLOSSES = 3  # that have a picture
_CLIPS = 8  # in a picture
_LONGEST = 22  # letters of a clip's name in a picture


def describe(sources: SpottingSources) -> dict[str, Any]:
    """Return the template's values: a table for each data set with scores, and pictures of test clips."""
    shown = {data: scores for data in SETS if (scores := sources.scores.get(data, {})).get("n")}
    mine = sources.places[sources.places["method"] == EXAMPLE]
    # validation clips stand in for test clips where there are none
    split = "test" if (mine["split"] == "test").any() else "val"
    return {
        "tables": [_table(data, scores) for data, scores in shown.items()],
        "everywhere": any(scores.get("n_in_all") for scores in sources.scores.values()),
        "pictures": [
            _picture(gloss, rows, value) for gloss, rows, value in _spread(mine[mine["split"] == split])
        ],
    }


def _table(data: str, scores: Mapping[str, Any]) -> Table:
    notes = Notes()
    columns = [
        Metric("map", "Mean average precision", "higher"),
        Metric("overlap_half", "Places that overlap by half", "higher", 2),
        Metric("centre_inside", "Places with their centre inside", "higher", 2),
    ]
    difference = Metric("difference", "By example minus this", "higher")
    rows = []
    for name in METHODS:
        against = Cell("") if name == EXAMPLE else score_cell(scores[name], difference, notes)
        cells = [score_cell(scores[name], column, notes) for column in columns]
        rows.append([Cell(NAMES[name]), *cells, against])
    caption = (
        f"{SETS[data]}: {scores['n']} glosses in {scores['n_clips']} clips, with 95 % intervals over "
        f"glosses; an order by chance has a mean average precision of about {scores['share_of_clips']:.2f}"
    )
    headings = ["Found", *(column.label for column in columns), difference.label]
    return Table(f"spotting-{data}", caption, headings, rows, notes.listed())


def _spread(places: pd.DataFrame) -> list[tuple[str, pd.DataFrame, float]]:
    """Return up to `_GLOSSES` glosses, from the lowest average precision to the highest, with their places.

    The places of a gloss are those of all clips, the best first.
    """
    found = []
    for gloss, rows in places.groupby("gloss"):
        contains = rows["contains"].to_numpy(np.float64)
        if 0 < contains.sum() < len(contains) and rows["start_s"].notna().any():
            ranked = rows.sort_values(["score", "clip_id"], ascending=[False, True])
            found.append(
                (str(gloss), ranked, average_precision(rows["score"].to_numpy(np.float64), contains))
            )
    found.sort(key=lambda one: (one[2], one[0]))
    numbers = np.rint(np.linspace(0, len(found) - 1, min(_GLOSSES, len(found)))).astype(int)
    return [found[number] for number in numbers]


def _picture(gloss: str, rows: pd.DataFrame, precision: float) -> Picture:
    """Return the first clips of a gloss with the place that was found and the true one."""
    # a clip that is too short for the example has no place
    shown = rows[rows["start_s"].notna()].head(_CLIPS)
    found, true = drawing.SERIES[0], drawing.SERIES[1]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for number, row in enumerate(shown.itertuples()):
            axes.barh(
                number, row.end_s - row.start_s, left=row.start_s, height=0.7, facecolor="none",
                edgecolor=found, linewidth=1.6, linestyle="-" if row.contains else ":",
            )  # fmt: skip
            if not np.isnan(row.true_start_s):
                axes.plot([row.true_start_s, row.true_end_s], [number, number], color=true, linewidth=4)
        names = [f"{drawing.shortened(row.clip_id, _LONGEST)}  {row.score:.2f}" for row in shown.itertuples()]
        axes.set_yticks(range(len(shown)), names)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(0, shown["length_s"].max())
        axes.set_xlabel("seconds")
        axes.grid(visible=False, axis="y")
        handles = [
            Patch(facecolor="none", edgecolor=found, linewidth=1.6, label="found"),
            Patch(
                facecolor="none", edgecolor=found, linewidth=1.6, linestyle=":", label="found, not in clip"
            ),
            Line2D([], [], color=true, linewidth=4, label="truth"),
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=3)

    ranked = f"the first {len(shown)} of {len(rows)} clips, with their scores"
    caption = f"{gloss}: {ranked}. Average precision {precision:.2f}."
    name = "spotting-" + "".join(letter if letter.isalnum() else "-" for letter in gloss)
    said = "; ".join(_say(row) for row in shown.to_dict("records"))
    return drawing.picture(name, caption, f"{caption} {said}.", draw, 1.1 + 0.3 * len(shown))


def _say(row: dict[str, Any]) -> str:
    """Return a place in words, for screen readers."""
    place = f"{row['clip_id']} found {row['start_s']:.2f} to {row['end_s']:.2f}"
    if not row["contains"]:
        return f"{place}, not in the clip"
    known = not np.isnan(row["true_start_s"])
    return f"{place}, truth {row['true_start_s']:.2f} to {row['true_end_s']:.2f}" if known else place
