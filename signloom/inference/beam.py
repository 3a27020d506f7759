"""Beam search in NumPy, with the scores, length penalty and tie-breaking of `signloom.decoding.beam`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from signloom.inference.gates import highest

Tokens = npt.NDArray[np.int64]
NextLogProbs = Callable[[Tokens], npt.NDArray[np.float32]]


class Symbols(NamedTuple):
    """Token ids. Padding and start are never decoded; end closes a sentence."""

    pad: int
    start: int
    end: int


class Hypothesis(NamedTuple):
    """The tokens between start and end, and log-probability / length penalty (the penalty counts the end)."""

    tokens: list[int]
    score: float


def length_penalty(tokens: int, alpha: float) -> float:
    """Return ((5 + n) / 6) ** alpha for n tokens (Wu et al. 2016, equation 14)."""
    return float(((5 + tokens) / 6) ** alpha)


def beam_search(
    next_log_probs: NextLogProbs, symbols: Symbols, *, beam: int, alpha: float, max_tokens: int
) -> Hypothesis:
    """Return the best hypothesis of one clip.

    `next_log_probs` maps prefixes (rows, L) that begin with the start token to log-probabilities (rows, V).
    Each step ranks all continuations. Those that end and are among the first `beam` are finished; the first
    `beam` others continue. The search stops as soon as none of them can exceed the best finished hypothesis.
    `max_tokens` counts start and end.
    """
    limit = max_tokens - 1
    scores, prefixes = np.zeros(1, np.float32), np.full((1, 1), symbols.start, np.int64)
    best = Hypothesis([], -np.inf)
    for step in range(1, limit + 1):
        log_p = np.array(next_log_probs(prefixes), np.float32)
        log_p[:, [symbols.pad, symbols.start]] = -np.inf
        total = (scores[:, None] + log_p).ravel()
        places = highest(total, 2 * beam)
        parent, token = np.divmod(places, log_p.shape[1])
        ends = token == symbols.end
        for place in np.flatnonzero(ends[:beam])[:1]:  # the first end is the best one of this step
            score = float(total[places[place]] / length_penalty(step, alpha))
            if score > best.score:
                best = Hypothesis(prefixes[parent[place], 1:].tolist(), score)
        going = np.flatnonzero(~ends)[: min(beam, len(places) - len(scores))]
        scores = total[places[going]]
        prefixes = np.concatenate([prefixes[parent[going]], token[going, None]], axis=1)
        if not scores[0] / length_penalty(limit, alpha) > best.score:
            break
    if best.score == -np.inf:  # no hypothesis has ended: return the most likely one, cut
        return Hypothesis(prefixes[0, 1:].tolist(), float(scores[0] / length_penalty(max(limit, 1), alpha)))
    return best
