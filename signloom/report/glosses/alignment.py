"""When glosses are signed: errors of their times beside the rivals, and timelines of a few clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from signloom.evaluation.gloss_shares import (
    ALIGNED,
    BY_LENGTH,
    EQUAL,
    MeanLengths,
    Signed,
    equal_shares,
    signed_clips,
)
from signloom.metrics.bootstrap import Floats
from signloom.metrics.boundaries import LIMITS_MS, boundary_errors
from signloom.report import drawing
from signloom.report.drawing import Picture
from signloom.report.glosses.tables import SETS
from signloom.report.sources import AlignmentSources
from signloom.report.tables import Cell, Metric, Notes, Table, score_cell

NAMES = {ALIGNED: "aligned", BY_LENGTH: "mean lengths", EQUAL: "equal shares"}
TRUTH = "truth"
_CLIPS = 3
_WIDEST_MS = 500  # of the histogram; greater errors are in its last bar
_BAR_MS = 25

Times = dict[str, dict[str, Floats]]  # clip: truth, aligned or rival: times (L, 2) in seconds


def describe(sources: AlignmentSources) -> dict[str, Any]:
    """Return the template's values: a table for each data set with true times, and pictures."""
    clips = signed_clips(sources.times)
    shown = {data: scores for data in SETS if (scores := sources.scores.get(data, {})).get("n")}
    times = _all_times(sources.times, clips)
    split = sources.times.drop_duplicates("clip_id").set_index("clip_id")["split"]
    timed = [clip for clip in sorted(times) if TRUTH in times[clip]]
    # training clips are no example: the network has seen them
    scored = [clip for clip in timed if split[clip] == "test"] or [
        clip for clip in timed if split[clip] == "val"
    ]
    timelines = [_timeline(clips[clip], times[clip]) for clip in _spread(times, scored)]
    pictures = [_histogram(times, scored), *timelines] if scored else []
    return {
        "tables": [_table(data, scores) for data, scores in shown.items()],
        "too_short": int(sources.times.loc[sources.times["reason"] != "", "clip_id"].nunique()),
        "pictures": pictures,
    }


def _table(data: str, scores: Mapping[str, Any]) -> Table:
    notes = Notes()
    columns = [
        Metric("median_ms", "Median error, ms", "lower", 0),
        Metric("mean_ms", "Mean error, ms", "lower", 0),
        *(Metric(f"within_{limit}_ms", f"Within {limit} ms", "higher", 2) for limit in LIMITS_MS),
    ]
    difference = Metric("difference_ms", "Aligned minus this, ms", "lower", 0)
    rows = []
    for name in (ALIGNED, BY_LENGTH, EQUAL):
        if name in scores:
            against = Cell("") if name == ALIGNED else score_cell(scores[name], difference, notes)
            cells = [score_cell(scores[name], column, notes) for column in columns]
            rows.append([Cell(NAMES[name]), *cells, against])
    caption = (
        f"{SETS[data]}: starts and ends of {scores['n_glosses']} glosses in {scores['n']} clips, with 95 % "
        "intervals over clips; below 0, the alignment has the lower mean error"
    )
    headings = ["Times", *(column.label for column in columns), difference.label]
    return Table(f"alignment-{data}", caption, headings, rows, notes.listed())


def _all_times(table: pd.DataFrame, clips: Mapping[str, Signed]) -> Times:
    """Return the times of every clip that was aligned."""
    split = table.drop_duplicates("clip_id").set_index("clip_id")["split"]
    training = [clip for clip in clips.values() if split[clip.clip_id] == "train" and len(clip.truth)]
    lengths = MeanLengths(training) if training else None
    found: Times = {}
    aligned = table[table["start_s"].notna()]
    edges = aligned[["start_s", "end_s"]].to_numpy(np.float64)
    for clip_id, rows in sorted(aligned.groupby("clip_id").indices.items()):
        clip = clips[str(clip_id)]
        times = {TRUTH: clip.truth} if len(clip.truth) else {}
        times[ALIGNED] = edges[rows]
        if lengths is not None:
            times[BY_LENGTH] = lengths.share(clip)
        found[str(clip_id)] = {**times, EQUAL: equal_shares(clip)}
    return found


def _spread(times: Times, clips: Sequence[str]) -> list[str]:
    """Return up to `_CLIPS` clips, evenly spaced from the greatest mean error to the least."""
    errors = {clip: boundary_errors(times[clip][ALIGNED], times[clip][TRUTH]).mean() for clip in clips}
    order = sorted(clips, key=lambda clip: (-errors[clip], clip))
    places = np.rint(np.linspace(0, len(order) - 1, min(_CLIPS, len(order)))).astype(int)
    return [order[place] for place in places]


def _histogram(times: Times, clips: Sequence[str]) -> Picture:
    names = [name for name in NAMES if name in times[clips[0]]]
    errors = {
        name: np.concatenate([boundary_errors(times[clip][name], times[clip][TRUTH]) for clip in clips])
        for name in names
    }
    edges = np.arange(0, _WIDEST_MS + _BAR_MS, _BAR_MS)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for number, name in enumerate(names):
            count, _ = np.histogram(np.minimum(errors[name], _WIDEST_MS - 1), edges)
            axes.stairs(
                count / len(errors[name]), edges, label=NAMES[name],
                color=drawing.SERIES[number], linestyle=drawing.LINES[number], linewidth=1.5,
            )  # fmt: skip
        axes.set_xlim(0, _WIDEST_MS)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("error of a start or end, ms")
        axes.set_ylabel("share")
        figure.legend(loc="outside upper left", ncols=len(names))

    last = f"The last bar holds all above {_WIDEST_MS - _BAR_MS} ms."
    caption = f"Errors of starts and ends, {len(clips)} clips. {last}"
    medians = "; ".join(f"{NAMES[name]}: median {np.median(errors[name]):.0f} ms" for name in names)
    return drawing.picture("alignment-errors", caption, f"{caption} {medians}.", draw)


def _timeline(clip: Signed, times: Mapping[str, Floats]) -> Picture:
    shown = [name for name in (TRUTH, *NAMES) if name in times]
    error = boundary_errors(times[ALIGNED], times[TRUTH]).mean()

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, name in enumerate(shown):
            _bars(axes, row, times[name])
        axes.set_yticks(range(len(shown)), [NAMES.get(name, name) for name in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(0, clip.length_s)
        axes.set_xlabel("seconds")
        axes.grid(visible=False, axis="y")

    line = " ".join(f"{number} {gloss}" for number, gloss in enumerate(clip.glosses, 1))
    caption = f"{clip.clip_id}: mean error of the alignment {error:.0f} ms. {line}."
    spoken = "; ".join(
        f"{NAMES.get(name, name)} " + ", ".join(f"{start:.2f} to {end:.2f}" for start, end in times[name])
        for name in shown
    )
    name = "alignment-" + "".join(letter if letter.isalnum() else "-" for letter in clip.clip_id)
    return drawing.picture(
        name, caption, f"{caption} Seconds of each: {spoken}.", draw, 0.9 + 0.4 * len(shown)
    )


def _bars(axes: Axes, row: int, times: Floats) -> None:
    """Draw the glosses of one row as numbered bars; two neighbours differ by colour."""
    for number, (start, end) in enumerate(times):
        colour = drawing.SERIES[number % 2]
        axes.barh(
            row, end - start, left=start, height=0.62, facecolor="none", edgecolor=colour, linewidth=1.6
        )
        axes.text((start + end) / 2, row, str(number + 1), ha="center", va="center", fontsize=8)
