"""The beam search of every decoder: which hypotheses go on, which have ended, and which one wins.

A `Ranker` knows what continuations score: one sums scorers in PyTorch (`signloom.decoding.scorers`), one runs
an exported decoder (`signloom.inference.beam`). This module itself needs the standard library alone.
"""

import math
from typing import NamedTuple, Protocol


class Hypothesis(NamedTuple):
    """The tokens between start and end, and their score."""

    tokens: list[int]
    score: float


# the score of a continued hypothesis, the place of the hypothesis among the clip's beams, and the new token
Candidate = tuple[float, int, int]


class Ranker(Protocol):
    """Knows the clips, and what it has read of their hypotheses."""

    def rank(self, beams: list[list[Hypothesis]], count: int) -> list[list[Candidate]]:
        """Return the `count` best continuations of each clip's `beams`, or all of them if there are fewer.

        The best comes first; equal scores are ordered by beam, then by token. All clips have equally many
        beams, of the same length.
        """

    def reorder(self, clips: list[int], parents: list[list[int]]) -> None:
        """Keep the clips in rows `clips`; their next beams continue their beams `parents`."""


def length_penalty(tokens: int, alpha: float) -> float:
    """Return ((5 + n) / 6) ** alpha for n tokens (Wu et al. 2016, equation 14)."""
    return float(((5 + tokens) / 6) ** alpha)


def search(
    ranker: Ranker,
    clips: int,
    end: int,
    *,
    beam: int,
    max_tokens: int,
    alpha: float = 0.0,
    bonus: float = 0.0,
) -> list[Hypothesis]:
    """Return the best hypothesis of each clip.

    Each step ranks all continuations of a clip's beams. Those among the first `beam` that `end` are finished;
    the first `beam` others become the new beams. The answer is the finished hypothesis with the highest
    score / length_penalty; the penalty counts the end token. A clip stops as soon as none of its beams can
    exceed its answer, so stopping early changes nothing; `bonus` is the most that one more token adds to a
    score. If no hypothesis is finished after `max_tokens` (start and end included), the answer is the
    likeliest beam, and if no continuation is possible, it has no tokens and score -inf.
    """
    limit = max_tokens - 1
    longest = length_penalty(max(limit, 1), alpha)
    best = [Hypothesis([], -math.inf) for _ in range(clips)]
    active = list(range(clips))
    beams = [[Hypothesis([], 0.0)] for _ in active]
    for step in range(1, limit + 1):
        penalty = length_penalty(step, alpha)
        undecided, going = [], []
        for row, candidates in enumerate(ranker.rank(beams, 2 * beam)):
            clip = active[row]
            for score, parent, token in candidates[:beam]:
                if token == end and score / penalty > best[clip].score:
                    best[clip] = Hypothesis(beams[row][parent].tokens, score / penalty)
            # each beam can end only once, so every clip has this many other candidates
            width = min(beam, len(candidates) - len(beams[row]))
            going.append([candidate for candidate in candidates if candidate[2] != end][:width])
            if (going[row][0][0] + bonus * (limit - step)) / longest > best[clip].score:
                undecided.append(row)
        # leaving out a clip may copy what was computed of its frames, so wait until half of them can go
        rows = undecided if 2 * len(undecided) <= len(active) else list(range(len(active)))
        active = [active[row] for row in rows]
        if not active:
            break
        ranker.reorder(rows, [[parent for _, parent, _ in going[row]] for row in rows])
        beams = [
            [Hypothesis([*beams[row][parent].tokens, token], score) for score, parent, token in going[row]]
            for row in rows
        ]
    for clip, (likeliest, *_) in zip(active, beams, strict=False):
        if best[clip].score == -math.inf < likeliest.score:
            best[clip] = Hypothesis(likeliest.tokens, likeliest.score / longest)
    return best
