"""Scores of isolated signs that a mean over clips does not show: of the classes, and over signers."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from signloom.metrics.bootstrap import NO_CLIP, Floats, bounds, entry, ratio, resamples
from signloom.metrics.retrieval import Ids, Ranked
from signloom.metrics.signers import signer_entry, signer_figure, signer_resamples
from signloom.params.evaluation import EvaluationParams

ADAPTED = "adapted"  # the name of figures after adapting to each signer; ranks are in the column rank_adapted
Rows = npt.NDArray[np.int64]


def class_accuracies(right: Floats, classes: Ids) -> tuple[Ids, Floats, Ids]:
    """Return the distinct `classes` (N,) of clips, the mean of `right` (N,) in each, and its clips."""
    names, place = np.unique(classes, return_inverse=True)
    counts = np.bincount(place, minlength=len(names))
    return names, np.bincount(place, right, len(names)) / counts, counts


def macro_accuracies(right: Floats, classes: Ids, rows: Rows) -> Floats:
    """Return (R,) for resamples `rows` (R, N) of clips: the mean over classes of the share of right clips.

    A class that a resample does not hold is left out of its mean.
    """
    names, place = np.unique(classes, return_inverse=True)
    shifted = (place[rows] + np.arange(len(rows))[:, None] * len(names)).ravel()
    size = len(rows) * len(names)
    counts = np.bincount(shifted, minlength=size).reshape(len(rows), -1)
    hits = np.bincount(shifted, right[rows].ravel(), size).reshape(len(rows), -1)
    shares = np.divide(hits, counts, out=np.zeros(counts.shape), where=counts > 0)
    return np.asarray(shares.sum(1) / (counts > 0).sum(1))


def sign_figures(
    ranked: Ranked, classes: Ids, signers: Sequence[str], params: EvaluationParams
) -> dict[str, Any]:
    """Return the metric entries of one data set of isolated signs, beside those of `retrieval_figures`.

    `classes` and `signers` (Q,) are those of the queries; a class is a text. `macro_accuracy` is the mean
    over classes of the share of clips whose sign is found first. The entries `*_by_signer` repeat a figure
    with bounds over resamples of signers, then of their clips. Clips whose sign is not in the gallery are
    left out.
    """
    known = ~np.isnan(ranked.rank)
    rank, classes = ranked.rank[known], classes[known]
    who = [signer for signer, kept in zip(signers, known, strict=True) if kept]
    right, draw = (rank == 1).astype(np.float64), (params.bootstrap, params.seed)
    why = "no clip of these signs in the training gallery" if len(known) else NO_CLIP
    value = float(class_accuracies(right, classes)[1].mean()) if len(rank) else float("nan")

    def interval(resampled: Iterable[Rows]) -> tuple[float, float] | None:
        return bounds([macro_accuracies(right, classes, rows) for rows in resampled]) if len(rank) else None

    found = {
        "classes": len(np.unique(classes)),
        **entry("macro_accuracy", value, interval(resamples(len(rank), *draw)), why),
    }
    means = {"ret_top1": right, "r_at_5": (rank <= 5).astype(np.float64), "ret_mrr": 1 / rank}
    for name, values in means.items():
        stats = np.stack([values, np.ones_like(values)], 1)
        found |= signer_figure(f"{name}_by_signer", stats, who, ratio, *draw, why)
    by_signer = (rows[None] for rows in signer_resamples(who, *draw))
    return found | signer_entry("macro_accuracy_by_signer", value, who, lambda: interval(by_signer), why)
