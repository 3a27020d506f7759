"""The numbers of the gloss family as tables: error rates by variant and decoder, confused glosses."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from signloom.params.variants import BASELINE, VARIANTS
from signloom.report.labels import DATA, DECODERS
from signloom.report.sources import Metrics, variant_of
from signloom.report.tables import Cell, Metric, Notes, Table, score_cell

_DIFFERENCE = Metric("difference", "Difference in word error rate", "lower")
_P = Metric("p", "p")
SETS = {**DATA, "test_all_sentences": "Test, all sentences"}
GLOSSES = str.split  # the scored words of a line


def rates(metrics: Metrics) -> pd.DataFrame:
    """Return `data, variant, decoder, wer, low, high, seeds, n`: the mean over the runs of each variant.

    `low` and `high` are the 95 % interval of a single run, or the lowest and the highest rate of several
    runs. Undefined rates are left out.
    """
    rows = [
        (data, variant_of(run), decoder, scores["wer"], scores["wer_low"], scores["wer_high"], scores["n"])
        for run, sets in metrics.items()
        for data in SETS
        for decoder in DECODERS
        if (scores := sets.get(data, {}).get(decoder, {})).get("wer") is not None
    ]
    columns = ["data", "variant", "decoder", "wer", "low", "high", "n"]
    found = []
    table = pd.DataFrame(rows, columns=columns)
    for (data, variant, decoder), runs in table.groupby(["data", "variant", "decoder"], sort=False):
        wer, alone = runs["wer"], len(runs) == 1
        low, high = (runs["low"].iloc[0], runs["high"].iloc[0]) if alone else (wer.min(), wer.max())
        found.append((data, variant, decoder, wer.mean(), low, high, len(runs), runs["n"].iloc[0]))
    return pd.DataFrame(found, columns=["data", "variant", "decoder", "wer", "low", "high", "seeds", "n"])


def ablation_table(data: str, ablation: Mapping[str, Any], found: pd.DataFrame, whole: bool) -> Table:
    """Return the figures of one data set in ablation.json: a row per variant, or with `whole` per decoder.

    Without `whole`, a variant has the decoder that the ablation compares it by. A mean over seeds has its
    deviation below it; the error rate of a single seed has the 95 % interval from `found`, made by `rates`.
    """
    notes = Notes()
    limits = {
        (row["variant"], row["decoder"]): f"{row['low']:.3f} to {row['high']:.3f}"
        for row in found[(found["data"] == data) & (found["seeds"] == 1)].to_dict("records")
    }
    rows = []
    for variant, entry in _variants(ablation, data):
        read = [name for name in DECODERS if name in entry] if whole else [VARIANTS[variant].headline]
        for decoder in read:
            figures = entry[decoder]
            wer = _mean(figures, "wer", notes, limits.get((variant, decoder), ""))
            against = (
                _baseline(decoder, whole) if variant == BASELINE else score_cell(figures, _DIFFERENCE, notes)
            )
            blank = _mean(entry, "blank_ratio", notes)
            rest = [_mean(figures, rate, notes) for rate in ("sub", "del", "ins", "sentence_acc")]
            rows.append([Cell(variant, DECODERS[decoder]), wer, against, blank, *rest])
    columns = [
        *("Variant and decoder", "Word error rate", f"Its difference to {BASELINE}", "Blank ratio"),
        *("Substituted", "Left out", "Added", "Sentences right"),
    ]
    variant, entry = next(iter(_variants(ablation, data)))
    n, seeds = entry[VARIANTS[variant].headline]["n"], entry["seeds"]
    over = f"means ± deviation over {seeds} seeds" if seeds > 1 else "one seed"
    caption = f"{SETS[data]}, n\u00a0=\u00a0{n}, {over}{': every decoder' if whole else ''}"
    name = f"decoders-{data}" if whole else f"ablation-{data}"
    return Table(name, caption, columns, rows, notes.listed())


def _baseline(decoder: str, whole: bool) -> Cell:
    """Return the cell of a baseline; in the table of all decoders it says which rows are compared with it."""
    return Cell(
        "baseline", ("of greedy rows" if decoder == "ctc_greedy" else "of other rows") if whole else ""
    )


def comparison_table(ablation: Mapping[str, Any], shown: Sequence[str]) -> Table:
    """Return the paired differences of the ablation, a column per data set of `shown`."""
    notes = Notes()
    found = {data: ablation[data]["comparisons"] for data in shown}
    rows = []
    for pair in found[shown[0]] if shown else []:
        better, worse = found[shown[0]][pair]["decoders"]
        decoders = DECODERS[better] if better == worse else f"{DECODERS[better]}; {DECODERS[worse]}"
        cells = [score_cell(found[data][pair], it, notes) for data in shown for it in (_DIFFERENCE, _P)]
        rows.append([Cell(pair.replace(" - ", " − "), decoders), *cells])
    caption = (
        "Differences in word error rate, with 95 % paired intervals, below 0 where the first is better, and "
        "p-values corrected for the rows (Holm)"
    )
    columns = ["Variants", *(column for data in shown for column in (SETS[data], "p"))]
    return Table("comparisons", caption, columns, rows, notes.listed())


def scored(ablation: Mapping[str, Any]) -> list[str]:
    """Return the data sets with at least one scored reference gloss."""
    return [
        data
        for data in SETS
        if any(
            entry[decoder]["wer"] is not None
            for _, entry in _variants(ablation, data)
            for decoder in DECODERS
            if decoder in entry
        )
    ]


def _variants(ablation: Mapping[str, Any], data: str) -> list[tuple[str, dict[str, Any]]]:
    return [(name, entry) for name, entry in ablation[data].items() if name != "comparisons"]


def _mean(figures: Mapping[str, Any], rate: str, notes: Notes, limits: str = "") -> Cell:
    """Return a mean over seeds with its deviation, or with `limits` if there is none."""
    cell = score_cell(figures, Metric(rate, rate), notes)
    spread = figures.get(f"{rate}_std")
    return replace(cell, interval=limits if spread is None else f"± {spread:.3f}")
