"""Where in a clip its glosses are signed, by the CTC probabilities of the gloss network."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Spans = tuple[tuple[float, float], ...]


def gloss_spans(log_probs: npt.NDArray[np.floating], glosses: Sequence[int], blank: int) -> Spans | None:
    """Return where each of `glosses` begins and ends in the clip, 0-1, by `log_probs` (T, vocabulary).

    A gloss lies where the likeliest CTC path that says `glosses` is most certain of it, and ends halfway to
    the next one. None if there are too few frames to say them all.
    """
    if not len(glosses):
        return ()
    path = best_path(log_probs, glosses, blank)
    if path is None:
        return None
    places = []
    for number, gloss in enumerate(glosses):
        frames = np.flatnonzero(path == 2 * number + 1)
        places.append((frames[log_probs[frames, gloss].argmax()] + 0.5) / len(path))
    between = [float(before + after) / 2 for before, after in pairwise(places)]
    return tuple(pairwise([0.0, *between, 1.0]))


def best_path(
    log_probs: npt.NDArray[np.floating], glosses: Sequence[int], blank: int
) -> npt.NDArray[np.intp] | None:
    """Return the state of every frame (T,) on the likeliest path, None if no path says `glosses`.

    State 2 n + 1 is gloss n, and the even states are the blanks around the glosses.
    """
    labels = np.full(2 * len(glosses) + 1, blank)
    labels[1::2] = glosses
    # a gloss may follow the one before it without a blank, unless they are the same
    may_skip = np.zeros(len(labels), bool)
    may_skip[3::2] = labels[3::2] != labels[1:-2:2]
    score = np.full(len(labels), -np.inf)
    score[:2] = log_probs[0, labels[:2]]
    steps = np.zeros((len(log_probs), len(labels)), np.intp)
    for frame in range(1, len(log_probs)):
        ways = np.full((3, len(labels)), -np.inf)
        ways[0], ways[1, 1:] = score, score[:-1]
        ways[2, 2:] = np.where(may_skip[2:], score[:-2], -np.inf)
        steps[frame] = ways.argmax(axis=0)
        score = ways.max(axis=0) + log_probs[frame, labels]
    state = len(labels) - 1 if score[-1] >= score[-2] else len(labels) - 2
    if not np.isfinite(score[state]):
        return None
    path = np.empty(len(log_probs), np.intp)
    for frame in range(len(log_probs) - 1, -1, -1):
        path[frame] = state
        state -= steps[frame, state]
    return path
