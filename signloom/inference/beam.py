"""Beam search with an exported decoder; needs NumPy alone."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from signloom.decoding.beam import Candidate, Hypothesis, search
from signloom.inference.gates import highest
from signloom.text.vocabulary import Symbols

Tokens = npt.NDArray[np.int64]
NextLogProbs = Callable[[Tokens], npt.NDArray[np.float32]]


def beam_search(
    next_log_probs: NextLogProbs, symbols: Symbols, *, beam: int, alpha: float, max_tokens: int
) -> Hypothesis:
    """Return the best hypothesis of one clip, by log-probability / length penalty.

    `next_log_probs` maps prefixes (rows, L) that begin with the start token to log-probabilities (rows, V).
    """
    ranker = _Ranker(next_log_probs, symbols)
    return search(ranker, 1, symbols.end, beam=beam, max_tokens=max_tokens, alpha=alpha)[0]


class _Ranker:
    """Reads the hypotheses of one clip anew at every step."""

    def __init__(self, next_log_probs: NextLogProbs, symbols: Symbols) -> None:
        self.next_log_probs, self.symbols = next_log_probs, symbols

    def rank(self, beams: list[list[Hypothesis]], count: int) -> list[list[Candidate]]:
        prefixes = np.array([[self.symbols.start, *tokens] for tokens, _ in beams[0]], np.int64)
        scores = np.array([[score] for _, score in beams[0]], np.float32)
        total = scores + self.next_log_probs(prefixes)
        total[:, [self.symbols.pad, self.symbols.start]] = -np.inf
        places = highest(total.ravel(), count)
        parents, tokens = np.divmod(places, total.shape[1])
        columns = total.ravel()[places], parents, tokens
        return [list(zip(*(column.tolist() for column in columns), strict=True))]

    def reorder(self, clips: list[int], parents: list[list[int]]) -> None:
        pass
