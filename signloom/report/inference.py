"""What the page says of answers: when one is given, how often rightly, how fast, and from which files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from signloom.inference.gates import OK, REASONS
from signloom.report import inference_plots, tables
from signloom.report.sources import InferenceSources
from signloom.report.tables import DASH, DATA, Cell, Metric, Notes, Table

IN_SET = "in_set"
KINDS = {
    "unsigned": "not signing",
    "unseen_sentence": "unseen sentence",
    "left_out": "sentence left out",
    "reversed": "reversed",
    "shuffled": "shuffled",
    "spliced": "spliced",
}
_MEANING = {
    IN_SET: "clips of sentences that the gallery has",
    "unsigned": "people who move but do not sign",
    "unseen_sentence": "clips of sentences that training never saw",
    "left_out": "in-set clips asked of a gallery without their sentence",
    "reversed": "in-set clips from their end to their start",
    "shuffled": "in-set clips in pieces of a third of a second, none in its place",
    "spliced": "the first half of a clip, then the second half of one of another sentence",
}
# threshold, what it bounds, the design document's
_GATES = [
    ("min_similarity", "cosine to the first sentence", "0.6"),
    ("min_margin", "that less the cosine to the next", "0.05, between clips"),
    ("min_proto_similarity", "cosine to the first sentence’s prototype", DASH),
    ("min_dtw_score", "warping score of its clip’s frames", DASH),
    ("motion_floor", "mean motion, shoulder widths a second", "0.00075, in other units"),
]
_OPEN = -1.0
_RIGHT = Metric("accepted_and_right", "In-set clips accepted and right", "higher")
_FALSE = Metric("false_accept_rate", "Out-of-set clips accepted", "lower")


def describe(sources: InferenceSources) -> dict[str, Any]:
    """Return what the template says of answers."""
    curve, most = sources.curve, float(sources.thresholds["max_false_accept_rate"])
    drawn = not curve[curve["kind"] == inference_plots.ALL].empty
    return {
        "most": most,
        "reason": sources.thresholds.get("reason", ""),
        "pictures": [inference_plots.calibration(curve, most), inference_plots.by_kind(curve, KINDS)]
        if drawn
        else [],
        "kinds": [(KINDS.get(kind, "in-set"), meaning) for kind, meaning in _MEANING.items()],
        "thresholds": thresholds_table(sources.thresholds),
        "acceptance": acceptance_table(sources.calibration, sources.scores or {}),
        "reasons": None if sources.answers is None else reasons_table(sources.answers),
        "latency": sources.latency and latency_table(sources.latency),
        "files": sources.bundle and files_table(sources.bundle),
        "bundle": sources.bundle,
        "tiles": _tiles(sources.scores or {}),
    }


def thresholds_table(thresholds: Mapping[str, Any]) -> Table:
    """Return every threshold beside the design document's fixed one; one under all values is open."""
    rows = [
        [
            Cell(gate, what),
            Cell("open" if thresholds[gate] == _OPEN else f"{thresholds[gate]:.3f}"),
            Cell(fixed),
        ]
        for gate, what, fixed in _GATES
    ]
    return Table("thresholds", "What an answer must reach", ["Threshold", "Chosen", "Design document"], rows)


def acceptance_table(calibration: Mapping[str, Any], scores: Mapping[str, Any]) -> Table:
    """Return how often each kind is accepted: a column a data set, and one more by fixed thresholds."""
    columns = [(DATA[data], calibration[data]) for data in DATA if data in calibration]
    columns += [(f"{DATA[data]}, by the bundle", scores[data]) for data in DATA if data in scores]
    columns += [
        (f"{DATA[data]}, design document’s", scores[data]["fixed"])
        for data in DATA
        if "fixed" in scores.get(data, {})
    ]
    notes = Notes()
    rows = [
        [Cell(_RIGHT.label, "higher is better")]
        + [_counted(figures, _RIGHT, "n_in", notes) for _, figures in columns],
        [Cell(_FALSE.label, "lower is better")]
        + [_counted(figures, _FALSE, "n_out", notes) for _, figures in columns],
    ]
    for kind, name in KINDS.items():
        cells = [_counted(figures.get(kind, {}), _FALSE, "n", notes) for _, figures in columns]
        rows.append([Cell(f"of these: {name}"), *cells])
    names = ["Clips", *(name for name, _ in columns)]
    caption = "How often clips are accepted, with 95 % intervals"
    return Table("acceptance", caption, names, rows, notes.listed())


def _counted(figures: Mapping[str, Any], metric: Metric, number: str, notes: Notes) -> Cell:
    cell = tables.score_cell(figures, metric, notes)
    n = f"n\u00a0=\u00a0{figures.get(number, 0)}"
    return Cell(cell.text, f"{cell.interval}, {n}" if cell.interval else n, cell.note)


def reasons_table(answers: pd.DataFrame) -> Table:
    """Return how many questions of each kind each gate closed for: `answers` has `kind, reason`."""
    counts = answers.groupby(["kind", "reason"]).size()
    reasons = [OK, *(reason for reason in REASONS if (answers["reason"] == reason).any())]
    rows = [
        [Cell(KINDS.get(kind, "in-set")), *(Cell(str(counts.get((kind, reason), 0))) for reason in reasons)]
        for kind in (IN_SET, *KINDS)
        if (answers["kind"] == kind).any()
    ]
    caption = "Test clips by the first gate that closed; ok is an answer"
    return Table("reasons", caption, ["Clips", *reasons], rows)


def latency_table(latency: Mapping[str, Any]) -> Table:
    """Return milliseconds of every part that was timed."""
    rows = [
        [
            Cell(str(part)),
            Cell(str(times["n"])),
            *(Cell(f"{times[name]:.1f}") for name in ("p50_ms", "p95_ms")),
        ]
        for part, times in latency.items()
    ]
    return Table("latency", "Time of an answer in ms", ["Part", "n", "Median", "95 of 100 within"], rows)


def files_table(bundle: Mapping[str, Any]) -> Table:
    """Return name, size and SHA-256 of every file of the bundle."""
    rows = [
        [Cell(name), Cell(f"{entry['bytes'] / 1e6:.3f}"), Cell(entry["sha256"])]
        for name, entry in bundle["files"].items()
    ]
    return Table("files", "Files of the bundle", ["File", "MB", "SHA-256"], rows)


def _tiles(scores: Mapping[str, Any]) -> list[tuple[str, str, int, Cell]]:
    """Return label, data set, clips and figure of the bundle on the test clips."""
    figures = scores.get("test")
    if figures is None:
        return []
    return [
        ("Accepted and right", DATA["test"], figures["n_in"], tables.score_cell(figures, _RIGHT)),
        ("False accepts", "Test, out of the set", figures["n_out"], tables.score_cell(figures, _FALSE)),
    ]
