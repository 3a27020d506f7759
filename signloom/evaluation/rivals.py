"""Untrained rivals of the retrieval model: nearest neighbours on raw features, and warping of the hands.

A trained model that does not beat them has learned nothing that the features do not show by themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from signloom.features.pose.layout import ARM_JOINTS, FEATURE_DIM, FEATURE_PARTS, PARTS
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.inference.dtw import score_of_units, unit_rows
from signloom.metrics.bootstrap import Floats, mean_figure, ratio
from signloom.metrics.paired import Pair, holm, swap_test
from signloom.params.evaluation import EvaluationParams
from signloom.progress import track

FRAMES = 32  # of every clip after resampling
# columns of arms and hands among the 540
HAND_COLUMNS = np.concatenate(
    [
        *(np.arange(4 * joint, 4 * joint + 3) for joint in ARM_JOINTS),
        *(
            np.arange(FEATURE_PARTS[hand].start, FEATURE_PARTS[hand].stop)
            for hand in ("left_hand", "right_hand")
        ),
    ]
)
Ids = npt.NDArray[np.int64]
Rows = npt.NDArray[np.float32]
_PART = 1024  # clips of the gallery that are compared at a time
_ASKED = 2048  # queries that are compared at a time
MOST_WARPED = 5_000_000  # pairs of clips that are warped for one data set, in about three minutes


@dataclass(frozen=True)
class Clips:
    """Clips by id, each with its standardised features (FRAMES, D) and its sentence."""

    features: Mapping[str, Rows]
    sentences: Mapping[str, int]

    def of(self, ids: Sequence[str]) -> tuple[list[Rows], Ids]:
        """Return features and sentences of the clips `ids`, in their order."""
        return [self.features[clip] for clip in ids], np.array(
            [self.sentences[clip] for clip in ids], np.int64
        )


def rank_rivals(clips: Clips, queries: Sequence[str], gallery: Sequence[str]) -> dict[str, Floats]:
    """Return the rank (Q,) that each rival gives the right sentence of `queries` among the clips `gallery`.

    It is NaN for a query whose sentence is not among them. Hands can only be compared in features of
    landmarks. If there are more than MOST_WARPED pairs, only evenly spaced queries are compared by them, and
    the others are NaN.
    """
    (asked, sentences), (found, labels) = clips.of(queries), clips.of(gallery)
    known, ranks = np.flatnonzero(np.isin(sentences, labels)), dict[str, Floats]()
    for name, compare in RIVALS.items():
        rows = known
        if name == HANDS:
            if any(clip.shape[1] != FEATURE_DIM for clip in found):
                continue
            rows = _evenly(known, max(1, MOST_WARPED // max(len(found), 1)))
        ranks[name] = np.full(len(queries), np.nan)
        for start in range(0, len(rows), _ASKED):  # all at once would take gigabytes
            part = rows[start : start + _ASKED]
            similarity = compare([asked[row] for row in part], found)
            ranks[name][part] = rank_by_similarity(similarity, sentences[part], labels)
    return ranks


def _evenly(rows: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """Return `rows`, or `most` evenly spaced ones of them if there are more."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]


def compare_rivals(own: Floats, rivals: Mapping[str, Floats], params: EvaluationParams) -> dict[str, Any]:
    """Return the figures of each rival, and what the model has over it.

    `own` (Q,) and those of `rank_rivals` are the ranks of the right sentence; queries without one are left
    out. `difference` is the model's share of right first sentences minus the rival's, with an interval from
    paired resamples of clips, and `p` that of `swap_test`, corrected for the number of rivals. Without a
    ranked clip it is None.
    """
    draw = (params.bootstrap, params.seed, "no clip of these sentences in the training gallery")
    figures, p = {}, dict[str, float]()
    for name, ranks in rivals.items():
        known = ~(np.isnan(ranks) | np.isnan(own))
        rank = ranks[known]
        first = (rank == 1).astype(np.float64)
        figures[name] = {
            **mean_figure("ret_top1", first, *draw),
            **mean_figure("ret_mrr", 1 / rank, *draw),
            **mean_figure("difference", (own[known] == 1) - first, *draw),
            "p": None,
        }
        if 0 < len(first) < (~np.isnan(own)).sum():
            figures[name]["n"] = len(first)
        if not len(first):
            continue
        theirs, ours = (np.stack([right, np.ones_like(first)], 1)[None] for right in (first, own[known] == 1))
        p[name] = swap_test(Pair(theirs, ours, ratio, [""] * len(first)), params.bootstrap, params.seed)
    for name, corrected in zip(p, holm([*p.values()]), strict=True):
        figures[name]["p"] = corrected
    return figures


def raw_clips(shards: FeatureShards, stats: Stats, clips: Sequence[str]) -> dict[str, Rows]:
    """Return the standardised pose features (FRAMES, D) of `clips`, resampled in time; missing is 0."""
    return {
        clip: resampled(standardised(*shards.read(clip), stats), FRAMES).astype(np.float32)
        for clip in track(clips, "rivals")
    }


def standardised(features: npt.NDArray[np.float32], present: npt.NDArray[np.uint8], stats: Stats) -> Floats:
    """Return `features` (T, D) in deviations of `stats`; 0 where a part is missing or a column never varies.

    `present` (T, 4) tells which parts of 540 features are there.
    """
    rows = (features.astype(np.float64) - stats.mean) / stats.std
    rows[:, ~stats.varies] = 0.0
    for place, part in enumerate(PARTS if rows.shape[1] == FEATURE_DIM else ()):
        rows[present[:, place] == 0, FEATURE_PARTS[part]] = 0.0
    return np.nan_to_num(rows, nan=0.0)


def resampled(rows: Floats, frames: int) -> Floats:
    """Return `rows` (T, D) at `frames` even times from the first to the last, by linear interpolation."""
    times = np.linspace(0, len(rows) - 1, frames)
    low = np.floor(times).astype(int)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (times - low)[:, None]
    return np.asarray((1 - share) * rows[low] + share * rows[high])


def nearest(queries: Sequence[Rows], gallery: Sequence[Rows]) -> Floats:
    """Return the similarity (Q, G): minus the squared Euclidean distance of whole clips."""
    similarity = np.zeros((len(queries), len(gallery)))
    if not queries:
        return similarity
    a = _flat(queries)
    # a part at a time, because all of the gallery in one array would double the memory of the clips
    for start in track(range(0, len(gallery), _PART), "nearest", unit="part"):
        b = _flat(gallery[start : start + _PART])
        similarity[:, start : start + _PART] = 2 * a @ b.T - (a * a).sum(1)[:, None] - (b * b).sum(1)
    return similarity


def _flat(clips: Sequence[Rows]) -> Floats:
    """Return a row of double precision for each clip, so that sums do not depend on threads."""
    return np.array([clip.ravel() for clip in clips], np.float64)


def hands_dtw(queries: Sequence[Rows], gallery: Sequence[Rows]) -> Floats:
    """Return the similarity (Q, G) of hands and arms by dynamic time warping (`dtw.dtw_score`)."""
    asked, known = ([unit_rows(clip[:, HAND_COLUMNS]) for clip in clips] for clips in (queries, gallery))
    scores = np.empty((len(queries), len(gallery)))
    for row, query in enumerate(track(asked, "hands_dtw")):
        scores[row] = [score_of_units(query, clip) for clip in known]
    return scores


# in the order of the report
HANDS = "hands_dtw"
RIVALS = {"nearest": nearest, HANDS: hands_dtw}


def rank_by_similarity(similarity: Floats, sentences: Ids, gallery_sentences: Ids) -> Floats:
    """Return the rank (Q,) of each query's sentence among the distinct ones, as `rank_sentences` does.

    `similarity` (Q, G) is that to the clips of the gallery, whose sentences are given. A tie counts against
    the query; a sentence that is not in the gallery has the rank NaN.
    """
    order = np.argsort(gallery_sentences, kind="stable")
    labels, starts = np.unique(gallery_sentences[order], return_index=True)
    best = np.maximum.reduceat(similarity[:, order], starts, axis=1)
    right = sentences[:, None] == labels
    own = np.where(right, best, -np.inf).max(1, initial=-np.inf)
    before = ((best >= own[:, None]) & ~right).sum(1)
    return np.where(np.isfinite(own), 1.0 + before, np.nan)
