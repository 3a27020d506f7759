"""Rank sentences by the cosine of clips, and compute retrieval scores from the ranks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from signloom.metrics.bootstrap import NO_CLIP, Floats, mean_figure, median_figure, ratio
from signloom.params.evaluation import EvaluationParams

Unit = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]

_CHUNK = 256  # queries compared at a time


@dataclass(frozen=True)
class Ranked:
    """The results of a ranking, one entry per query in the order of the queries."""

    rank: Floats  # of the right sentence among distinct sentences, from 1; NaN if it has no clip
    top: npt.NDArray[np.intp]  # row of the most similar clip, -1 if there is none
    similarity: Floats  # cosine to that clip, NaN if there is none
    positive: Floats  # mean cosine to the clips of the same sentence, NaN if there is none
    negative: Floats  # mean cosine to the clips of other sentences, NaN if there is none


def rank_sentences(
    queries: Unit,
    sentences: Ids,
    gallery: Unit,
    gallery_sentences: Ids,
    own: npt.NDArray[np.intp] | None = None,
) -> Ranked:
    """Rank the distinct sentences of the gallery for each query, each by its most similar clip.

    `queries` (Q, E) and `gallery` (G, E) are unit rows; `own` (Q,) are the gallery's rows that are the
    queries themselves, and are not found. A tie with the right sentence counts against it, so that a model
    to which all clips look alike gets no credit.
    """
    count = len(queries)
    rank, similarity, positive, negative = np.full((4, count), np.nan)
    out = Ranked(rank, np.full(count, -1, np.intp), similarity, positive, negative)
    if not len(gallery):
        return out
    # in float64, so that the number of threads does not change the scores
    queries, gallery = queries.astype(np.float64), gallery.astype(np.float64)
    order = np.argsort(gallery_sentences, kind="stable")
    labels, starts = np.unique(gallery_sentences[order], return_index=True)
    sizes = np.diff([*starts, len(order)])
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        cosine = queries[part] @ gallery.T
        rows = np.arange(len(cosine))
        right = sentences[part][:, None] == labels
        same = right @ sizes
        other = len(order) - same
        counted = cosine
        if own is not None:
            same = same - 1
            counted = cosine.copy()
            counted[rows, own[part]], cosine[rows, own[part]] = 0.0, -np.inf
        totals = np.add.reduceat(counted[:, order], starts, axis=1)
        best = np.maximum.reduceat(cosine[:, order], starts, axis=1)
        own_best = np.where(right, best, -np.inf).max(1)
        before = ((best >= own_best[:, None]) & ~right).sum(1)
        out.rank[part] = np.where(np.isfinite(own_best), 1.0 + before, np.nan)
        top = cosine.argmax(1)
        value = cosine[rows, top]
        out.top[part] = np.where(np.isfinite(value), top, -1)
        out.similarity[part] = np.where(np.isfinite(value), value, np.nan)
        out.positive[part] = ratio(np.stack([np.where(right, totals, 0.0).sum(1), same], 1))
        out.negative[part] = ratio(np.stack([np.where(right, 0.0, totals).sum(1), other], 1))
    return out


def rank_leaving_one_out(clips: Unit, sentences: Ids, gallery: Unit, gallery_sentences: Ids) -> Ranked:
    """Rank as `rank_sentences`, for each of `clips` (N, E) among the gallery (G, E) and all other clips.

    Row numbers in `top` count the gallery's rows first, then those of the clips.
    """
    everything = np.concatenate([gallery, clips])
    labels = np.concatenate([gallery_sentences, sentences])
    return rank_sentences(clips, sentences, everything, labels, len(gallery) + np.arange(len(clips)))


def retrieval_figures(ranked: Ranked, params: EvaluationParams, place: str) -> dict[str, Any]:
    """Return the metric entries of one block; `place` names what was searched, to explain nulls.

    `n` counts the queries. `n_ranked` counts those whose sentence can be found; rank figures cover only them.
    """
    draw = (params.bootstrap, params.seed)
    rank = ranked.rank[~np.isnan(ranked.rank)]
    nothing = NO_CLIP if not len(ranked.rank) else f"no clip of these sentences in {place}"
    alone = NO_CLIP if not len(ranked.rank) else f"no clip of another sentence in {place}"
    return {
        "n": len(ranked.rank),
        "n_ranked": len(rank),
        **mean_figure("ret_top1", (rank == 1).astype(float), *draw, nothing),
        **mean_figure("ret_mrr", 1 / rank, *draw, nothing),
        **mean_figure("r_at_5", (rank <= 5).astype(float), *draw, nothing),
        **mean_figure("r_at_10", (rank <= 10).astype(float), *draw, nothing),
        **median_figure("med_rank", rank, *draw, nothing),
        **mean_figure("clip_pos_sim", ranked.positive, *draw, nothing),
        **mean_figure("clip_neg_sim", ranked.negative, *draw, alone),
    }
