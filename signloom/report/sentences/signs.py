"""The section on isolated signs: scores, accuracy of every sign, and which signs are taken for which."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from signloom.metrics.signs import ADAPTED, class_accuracies
from signloom.report import drawing, tables
from signloom.report.labels import LABELS
from signloom.report.tables import DASH, HEADLINE, Metric, Table

SIGNS = [Metric(*row) for row in LABELS["signs"]]
_MOST_DRAWN = 60  # signs of a heat map; of more, only those of the most frequent confusions are drawn
_DRAWN_OF_MORE = 40
_MOST_PAIRS = 20
_MOST_ROWS = 200
_LONGEST = 18  # letters of a name beside the heat map
_REM_PER_INCH = 7  # of a picture in the page

Counts = npt.NDArray[np.int64]


def describe(
    scores: Mapping[str, Any], ranks: Mapping[str, Any], answers: pd.DataFrame, clips: pd.DataFrame
) -> dict[str, Any]:
    """Return the template's values; `answers` is retrieval.csv, `clips` the processed metadata with `split`.

    Classes and confusions are those of the test clips, or of the validation clips if there is no test.
    """
    found = answers[answers["rank"].notna()]
    data = "test" if (found["data"] == "test").any() else "val"
    found = found[found["data"] == data]
    own, taken = (found[name].astype(np.int64).to_numpy() for name in ("sentence_id", "top_sentence_id"))
    names = dict(zip(clips["sentence_id"], clips["sentence"], strict=True))
    classes = np.unique(np.concatenate([own, taken]))
    counts = confusions(own, taken, classes)
    training = clips["sentence_id"][clips["split"] == "train"].value_counts()
    labels = [str(names[int(sign)]) for sign in classes]
    picture = heat_map(counts, labels) if len(found) else None
    aligned = [metric for metric in HEADLINE if metric.key in ("inst_top1", "pos_sim", "neg_sim")]
    return {
        "scores": tables.score_table("headline", "Signs found among the training clips", ranks, SIGNS),
        "adapted": _adapted(ranks),
        "aligned": tables.score_table("names-of-signs", "Clips and names of signs", scores, aligned),
        "data": {"test": "test", "val": "validation"}[data],
        "pairs": pairs_table(counts, labels),
        "picture": picture,
        "rem": round(_REM_PER_INCH * _side(min(len(classes), _MOST_DRAWN))),
        "classes": class_table(own, taken, names, training.to_dict()),
    }


def _adapted(ranks: Mapping[str, Any]) -> Table | None:
    """Return the figures after adapting to each signer, or None if no signer has a name."""
    found = {data: of_data[ADAPTED] for data, of_data in ranks.items() if ADAPTED in of_data}
    shown = [metric for metric in SIGNS if metric.key.startswith("macro") or metric.key.endswith("signer")]
    caption = "Signs found by prototypes that were adapted to each signer"
    return tables.score_table("adapted-signs", caption, found, shown) if found else None


def confusions(own: Counts, taken: Counts, classes: Counts) -> Counts:
    """Return (K, K): how many clips of each of the sorted `classes` (rows) were taken for each (columns)."""
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (np.searchsorted(classes, own), np.searchsorted(classes, taken)), 1)
    return counts


def pairs_table(counts: Counts, labels: list[str]) -> Table:
    """Return the most frequent confusions of `counts` (K, K), one row for each pair of signs."""
    ranked, of = _mistakes(counts, labels), counts.sum(1)
    rows = [(labels[own], labels[taken], times, of[own]) for own, taken, times in ranked[:_MOST_PAIRS]]
    more = f", the first {len(rows)} of {len(ranked)} pairs" if len(ranked) > len(rows) else ""
    columns = ["Sign", "Taken for", "Times", "Clips of the sign"]
    return Table("confused-signs", f"Signs most often taken for another{more}", columns, rows, numeric=2)


def _mistakes(counts: Counts, labels: list[str]) -> list[tuple[int, int, int]]:
    """Return row, column and number of every confusion, the most frequent first."""
    pairs = zip(*np.nonzero(counts), strict=True)
    found = [(int(a), int(b), int(counts[a, b])) for a, b in pairs if a != b]
    return sorted(found, key=lambda pair: (-pair[2], labels[pair[0]], labels[pair[1]]))


def class_table(own: Counts, taken: Counts, names: Mapping[int, str], training: Mapping[int, int]) -> Table:
    """Return the accuracy of every sign with its numbers of clips, the lowest first, then most clips."""
    right, instead, found = (own == taken).astype(np.float64), _instead(own, taken, names), []
    for sign, share, clips in zip(*class_accuracies(right, own), strict=True):
        row = (names[int(sign)], training.get(int(sign), 0), clips, round(share * clips), f"{share:.3f}")
        found.append((float(share), -int(clips), row[0], (*row, instead.get(int(sign), DASH))))
    rows = [row for *_, row in sorted(found)[:_MOST_ROWS]]
    more = f", the first {len(rows)} of {len(found)}" if len(found) > len(rows) else ""
    columns = ["Sign", "Training clips", "Clips", "Found first", "Accuracy", "Most often taken for"]
    return Table("signs-by-accuracy", f"Accuracy of every sign, lowest first{more}", columns, rows)


def _instead(own: Counts, taken: Counts, names: Mapping[int, str]) -> dict[int, str]:
    """Return the name that each sign was most often taken for, of several the first in the alphabet."""
    wrong = pd.DataFrame({"own": own, "name": pd.Series(taken).map(names)})[own != taken]
    times = wrong.groupby(["own", "name"]).size().sort_values(ascending=False, kind="stable")
    return {sign: name for sign, name in reversed(times.index.tolist())}


def heat_map(counts: Counts, labels: list[str]) -> drawing.Picture:
    """Draw the confusions (K, K): a row for each sign, a column for each that it was taken for.

    Every cell that is not empty holds its number; those of the right answers have a frame.
    """
    ranked = _mistakes(counts, labels)
    chosen = _most_confused(ranked, len(counts))
    shown, names = (
        counts[np.ix_(chosen, chosen)],
        [drawing.shortened(labels[place], _LONGEST) for place in chosen],
    )
    of = counts.sum(1)[chosen]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, column in zip(*np.nonzero(shown), strict=True):
            look = {"edgecolor": drawing.INK, "linewidth": 1.2} if row == column else {"linewidth": 0}
            share = shown[row, column] / of[row]
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(
                Rectangle(
                    corner, 1, 1, facecolor=(drawing.SERIES[0], 0.15 + 0.35 * share), clip_on=False, **look
                )
            )
            axes.text(column, row, str(shown[row, column]), ha="center", va="center", fontsize=8)
        axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_xlabel("taken for")
        axes.set_ylabel("sign")

    left = len(counts) - len(chosen)
    only = (
        f" Only {len(chosen)} of {len(counts)} signs, those of the most frequent confusions." if left else ""
    )
    caption = f"{LABELS['captions']['confusion-map']}{only}"
    right = int(np.trace(counts))
    alt = f"Heat map of {len(chosen)} signs. {right} of {counts.sum()} clips are right. "
    said = (
        f"Most often, {labels[ranked[0][0]]} is taken for {labels[ranked[0][1]]}."
        if ranked
        else "No sign is taken for another."
    )
    side = _side(len(chosen))
    return drawing.picture("confusion-map", caption, alt + said, draw, side, width=side)


def _most_confused(ranked: list[tuple[int, int, int]], signs: int) -> Counts:
    """Return the rows of the signs to draw, in their order: all, or those of the first pairs of `ranked`."""
    if signs <= _MOST_DRAWN:
        return np.arange(signs)
    # not those that are wrong most often: of thousands of signs, hardly two of them are confused
    paired = [sign for own, taken, _ in ranked for sign in (own, taken)]
    return np.sort([*dict.fromkeys([*paired, *range(signs)])][:_DRAWN_OF_MORE])


def _side(signs: int) -> float:
    """Return the width and height of the heat map in inches."""
    return max(drawing.WIDTH, 1.6 + 0.19 * signs)
