"""Where in a clip its glosses are signed, by the CTC probabilities of the gloss network.

CTC marks a gloss with a spike and is blank elsewhere, so its likeliest path has no extents. Two changes give
it some. Each label's probability is divided by its mean over the clip, as hybrid recognisers divide by label
priors (Bourlard and Morgan 1994, "Connectionist Speech Recognition", chapter 7). And boundaries are means
over all paths that say the glosses (Baum-Welch), not those of one path.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Spans = tuple[tuple[float, float], ...]
Floats = npt.NDArray[np.float64]

# both chosen on validation and training clips; docs/design/alignment.md has the values that were tried
SHARPNESS = 0.25  # exponent of the probabilities: below 1, because neighbouring rows are not independent
BLANK_COST = 1.0  # subtracted from the blank's log-weight: without it, signs are found too short
_FLOOR = -50.0  # log-probabilities below it are rounding


class Place(NamedTuple):
    """Where a gloss begins and ends, in rows from the clip's start, and how sure CTC is of it there (0-1)."""

    start: float
    end: float
    score: float


def gloss_spans(
    log_probs: npt.NDArray[np.floating], glosses: Sequence[int], blank: int, rows: int, delay: float
) -> Spans | None:
    """Return where each of `glosses` begins and ends as shares of the clip, or None as `place_glosses` does.

    The clip has `rows` rows, which are `delay` rows late (`delay_rows`).
    """
    places = place_glosses(log_probs, glosses, blank)
    if places is None:
        return None
    shares = [
        [(edge - delay) / rows for edge in place[:2]] for place in in_clip(places, len(log_probs), rows)
    ]
    return tuple((max(start, 0.0), max(end, 0.0)) for start, end in shares)


def in_clip(places: Sequence[Place], read: int, rows: int) -> list[Place]:
    """Return places in the `read` rows that a network read of a clip as places in all its `rows`.

    The rows that were read are evenly spaced, with the first and the last among them.
    """
    middles = np.rint(np.linspace(0, rows - 1, read)) + 0.5
    edges = to_seconds(places, middles, rows)
    return [
        place._replace(start=start, end=end)
        for place, (start, end) in zip(places, edges.tolist(), strict=True)
    ]


def delay_rows(smoothing: float) -> float:
    """Return by how many rows smoothed features are late: the mean age of what is averaged.

    The moving average out[t] = a x[t] + (1 - a) out[t-1] gives a row that is k rows old the weight
    a (1 - a)^k, so the mean age is (1 - a) / a.
    """
    return (1 - smoothing) / smoothing


def place_glosses(
    log_probs: npt.NDArray[np.floating], glosses: Sequence[int], blank: int
) -> list[Place] | None:
    """Return the place of each of `glosses` by the log-probabilities (T, vocabulary) of CTC.

    A place begins at the mean number of rows before its gloss, over all paths. Row t reaches from t to t + 1.
    The score is the highest probability of the gloss on a row, times that of the row being its own. None if
    there are too few rows to say them all.
    """
    if not len(glosses):
        return []
    if not len(log_probs):
        return None
    labels = np.full(2 * len(glosses) + 1, blank)
    labels[1::2] = glosses
    # a gloss may follow the one before it without a blank, unless they are the same
    may_skip = np.zeros(len(labels), bool)
    may_skip[3::2] = labels[3::2] != labels[1:-2:2]
    heard = np.maximum(log_probs[:, labels].astype(np.float64), _FLOOR)
    weights = heard - np.log(np.exp(heard).mean(0))
    weights[:, ::2] -= BLANK_COST
    there = occupancy(SHARPNESS * weights, may_skip)
    if there is None:
        return None
    ended = there.sum(0).cumsum()  # the mean number of rows up to the end of each state
    scores = (there * np.exp(heard)).max(0)
    return [
        Place(float(ended[state - 1]), float(ended[state]), float(scores[state]))
        for state in range(1, len(labels), 2)
    ]


def to_seconds(places: Sequence[Place], times: Floats, length_s: float, delay_s: float = 0.0) -> Floats:
    """Return start and end (L, 2) in seconds of places on rows that are shown at `times` (T,).

    Rows meet halfway between their times; the first and the last reach as far outwards as inwards, and a
    single one fills the clip. Times are `delay_s` earlier, and within a clip of `length_s`.
    """
    between = (times[:-1] + times[1:]) / 2
    edges = np.array([0.0, length_s])
    if len(between):
        edges = np.array([2 * times[0] - between[0], *between, 2 * times[-1] - between[-1]])
    rows = np.array([place[:2] for place in places]).reshape(-1, 2)
    return np.asarray(np.clip(np.interp(rows, np.arange(len(edges)), edges) - delay_s, 0.0, length_s))


def occupancy(scores: Floats, may_skip: npt.NDArray[np.bool_]) -> Floats | None:
    """Return the probability (T, S) of each state on each row over all paths, None if there is no path.

    `scores` (T, S) are log-weights of states. A path begins in one of the first two states and ends in one of
    the last two. It stays, goes one state on, or two where the later one `may_skip` (S,). Forward-backward,
    Rabiner 1989, "A Tutorial on Hidden Markov Models", section III A.
    """
    forward = _sweep(scores, may_skip)
    if not np.isfinite(forward[-1, -2:]).any():
        return None
    # backwards in time and state, a jump belongs to the state that it reaches in time
    jumps = np.zeros_like(may_skip)
    jumps[2:] = may_skip[::-1][:-2]
    backward = _sweep(scores[::-1, ::-1], jumps)[::-1, ::-1] - scores
    total = forward + backward
    weights = np.exp(total - total.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _sweep(scores: Floats, may_skip: npt.NDArray[np.bool_]) -> Floats:
    """Return the log-weight (T, S) of all paths up to a row that are then in a state."""
    reached = np.full(scores.shape, -np.inf)
    reached[0, :2] = scores[0, :2]
    for row in range(1, len(scores)):
        ways = np.full((3, scores.shape[1]), -np.inf)
        ways[0], ways[1, 1:] = reached[row - 1], reached[row - 1, :-1]
        ways[2, 2:] = np.where(may_skip[2:], reached[row - 1, :-2], -np.inf)
        reached[row] = np.logaddexp.reduce(ways, axis=0) + scores[row]
    return reached
