"""The inference section of the page: thresholds, acceptance, latency, and the files of the bundle."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from signloom.inference.gates import OK, REASONS
from signloom.report import inference_plots, tables
from signloom.report.labels import DATA, LABELS
from signloom.report.sources import InferenceSources
from signloom.report.tables import DASH, Cell, Metric, Notes, Table

IN_SET = "in_set"
KINDS: dict[str, str] = {kind: name for kind, (name, _) in LABELS["out_of_set"].items()}
_OPEN = -1.0
_RIGHT = Metric("accepted_and_right", "In-set clips accepted and right", "higher")
_FALSE = Metric("false_accept_rate", "Out-of-set clips accepted", "lower")


def describe(sources: InferenceSources) -> dict[str, Any]:
    """Return the template's values for inference."""
    curve, most = sources.curve, float(sources.thresholds["max_false_accept_rate"])
    timed = (sources.latency or {}).get("clip", {"n": 0})
    drawn = not curve[curve["kind"] == inference_plots.ALL].empty
    return {
        "most": most,
        "reason": sources.thresholds.get("reason", ""),
        "pictures": [inference_plots.calibration(curve, most), inference_plots.by_kind(curve, KINDS)]
        if drawn
        else [],
        "kinds": LABELS["out_of_set"].values(),
        "thresholds": thresholds_table(sources.thresholds),
        "acceptance": acceptance_table(sources.calibration, sources.scores or {}),
        "reasons": None if sources.answers is None else reasons_table(sources.answers),
        "variants": variants_table(sources.scores["test"]) if sources.scores else None,
        "latency": latency_table(sources.latency) if sources.latency and timed["n"] else None,
        "timed": timed,
        "files": sources.bundle and files_table(sources.bundle),
        "bundle": sources.bundle,
        "tiles": _tiles(sources.scores or {}),
    }


def thresholds_table(thresholds: Mapping[str, Any]) -> Table:
    """Return every threshold beside the design document's; a threshold below all values is shown as open."""
    rows = [
        (Cell(gate, what), "open" if thresholds[gate] == _OPEN else f"{thresholds[gate]:.3f}", fixed)
        for gate, what, fixed in LABELS["gates"]
    ]
    return Table("thresholds", "What an answer must reach", ["Threshold", "Chosen", "Design document"], rows)


def acceptance_table(calibration: Mapping[str, Any], scores: Mapping[str, Any]) -> Table:
    """Return the acceptance rate of each kind: a column per data set, and one with fixed thresholds."""
    columns = [(DATA[data], calibration[data]) for data in DATA if data in calibration]
    scored = {DATA[data]: scores[data] for data in DATA if data in scores}
    columns += [(f"{name}, by the bundle", of_data) for name, of_data in scored.items()]
    columns += [
        (f"{name}, design document’s", of_data["fixed_thresholds"]) for name, of_data in scored.items()
    ]
    notes = Notes()
    rows: list[list[str | Cell]] = []
    for metric, number in ((_RIGHT, "n_in"), (_FALSE, "n_out")):
        cells = [_counted(figures, metric, number, notes) for _, figures in columns]
        rows.append([Cell(metric.label, f"{metric.better} is better"), *cells])
    for kind, name in KINDS.items():
        cells = [_counted(figures.get(kind, {}), _FALSE, "n", notes) for _, figures in columns]
        rows.append([f"of these: {name}", *cells])
    names = ["Clips", *(name for name, _ in columns)]
    caption = "How often clips are accepted, with 95 % intervals"
    return Table("acceptance", caption, names, rows, notes.listed())


def _counted(figures: Mapping[str, Any], metric: Metric, number: str, notes: Notes) -> Cell:
    cell = tables.score_cell(figures, metric, notes)
    n = f"n\u00a0=\u00a0{figures.get(number, 0)}"
    return Cell(cell.text, f"{cell.interval}, {n}" if cell.interval else n, cell.note)


def reasons_table(answers: pd.DataFrame) -> Table:
    """Return how many clips of each kind each gate refused; `answers` has `kind, reason`."""
    counts = answers.groupby(["kind", "reason"]).size()
    reasons = [OK, *(reason for reason in REASONS if (answers["reason"] == reason).any())]
    rows = [
        [KINDS.get(kind, "in-set"), *(counts.get((kind, reason), 0) for reason in reasons)]
        for kind in (IN_SET, *KINDS)
        if (answers["kind"] == kind).any()
    ]
    caption = "Test clips by the first gate that refused them; ok is an answer"
    return Table("reasons", caption, ["Clips", *reasons], rows)


def variants_table(figures: Mapping[str, Any]) -> Table:
    """Return the effect of int8 and re-ranking on in-set clips; `figures` is one data set of the scores."""
    notes = Notes()
    shown = [
        ("Own sentence first, fp32", figures["int8"]["fp32"], "r_at_1"),
        ("Own sentence first, int8", figures["int8"]["int8"], "r_at_1"),
        ("Same first sentence, fp32 and int8", figures["int8"], "top1_agreement"),
        ("First five sentences in common, fp32 and int8", figures["int8"], "top5_agreement"),
        ("Own sentence first, by cosine", figures["rerank"], "top1"),
        ("Own sentence first, re-ranked by time warping", figures["rerank"], "top1_reranked"),
    ]
    rows = [[label, tables.score_cell(part, Metric(key, label), notes)] for label, part, key in shown]
    caption = f"In-set test clips, n\u00a0=\u00a0{figures['int8']['n']}, with 95 % intervals"
    return Table("variants", caption, ["What int8 and re-ranking change", "Share"], rows, notes.listed())


def latency_table(latency: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return latency percentiles of every part, read from `{p50_ms, ...}` or `<part>_ms_p50` entries."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for group, entries in latency.items():
        for key, value in entries.items():
            if isinstance(value, Mapping):
                found[group, key] = {name.removesuffix("_ms"): ms for name, ms in value.items()}
            elif flat := re.fullmatch(r"(.+)_ms_(p\d+)", key):
                found.setdefault((group, flat[1]), {})[flat[2]] = value
    rows = [
        [
            LABELS["latency"].get(part[0], {}).get(part[1], ": ".join(part).replace("_", " ")),
            *(DASH if times.get(p) is None else f"{times[p]:.1f}" for p in ("p50", "p95", "p99")),
        ]
        for part, times in found.items()
    ]
    columns = ["Part", "Median", "95th percentile", "99th percentile"]
    return Table("latency", "Time in ms", columns, rows)


def files_table(bundle: Mapping[str, Any]) -> Table:
    """Return name, size and SHA-256 of every file of the bundle."""
    rows = [(name, f"{entry['bytes'] / 1e6:.3f}", entry["sha256"]) for name, entry in bundle["files"].items()]
    return Table("files", "Files of the bundle", ["File", "MB", "SHA-256"], rows)


def _tiles(scores: Mapping[str, Any]) -> list[tuple[str, str, int, Cell]]:
    """Return label, data set, number of clips and score of the bundle on the test clips."""
    figures = scores.get("test")
    if figures is None:
        return []
    return [
        ("Accepted and right", DATA["test"], figures["n_in"], tables.score_cell(figures, _RIGHT)),
        ("False accepts", "Test, out of the set", figures["n_out"], tables.score_cell(figures, _FALSE)),
    ]
