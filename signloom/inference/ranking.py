"""Put the sentences of a gallery in the order of an answer; needs NumPy alone."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from signloom.inference import gates

Places = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]
Warp = Callable[[Places], npt.NDArray[np.float64]]


class Ranking(NamedTuple):
    """The order of S sentences for Q queries.

    `places` (Q, L) are the listed sentences, best first, and `warped` (Q, L) their scores by warping, NaN
    where not computed. `scores` (Q, S) decide the order of the first `compared` places: the cosines, or after
    re-ranking the scores by warping, and then -inf for sentences that were not compared.
    """

    cosines: Floats  # (Q, S) of the most similar clip of each sentence
    rows: Places  # (Q, S) of these clips in the map
    places: Places
    warped: npt.NDArray[np.float64]
    scores: Floats
    compared: int


def rank_sentences(
    cosines: Floats, rows: Places, compared: int, listed: int, rerank: bool, warp: Warp
) -> Ranking:
    """Return the order by `cosines`, of which `rerank` puts the first `compared` places in that of warping.

    `warp` returns the scores (Q, K) of the queries and of clips (Q, K) by warping.
    """
    places = np.stack([gates.highest(row, max(compared, listed)) for row in cosines])
    # a gate needs the score of the first sentence; only re-ranking needs the others, which cost time
    near = places[:, :compared] if rerank else places[:, :1]
    warped = np.full(places.shape, np.nan)
    warped[:, : near.shape[1]] = warp(np.take_along_axis(rows, near, 1))
    if not rerank:
        return Ranking(cosines, rows, places, warped, cosines, compared)
    found = np.isfinite(np.take_along_axis(cosines, near, 1))
    score = np.where(found, warped[:, :compared], -np.inf)
    # the two scores have different scales, so those that were not compared have no confidence
    scores = np.full_like(cosines, -np.inf)
    np.put_along_axis(scores, near, score.astype(np.float32), 1)
    order = np.argsort(-score, axis=1, kind="stable")
    for table in (places, warped):  # those that were not compared follow by their cosines
        table[:, :compared] = np.take_along_axis(table[:, :compared], order, 1)
    return Ranking(cosines, rows, places, warped, scores, compared)
