"""Whether the clips that contain a sign are found before others, and whether it is found where it is."""

import numpy as np

from signloom.metrics.bootstrap import Floats

# what a sign is compared with: an example in its clip, the example cut out, its raw rows, the network's gloss
EXAMPLE, CUT, RAW, KNOWN = "by_example", "cut_out", "raw_rows", "known_gloss"
METHODS = (EXAMPLE, CUT, RAW, KNOWN)
HALF = 0.5  # least overlap of a place that counts as right


def average_precision(scores: Floats, relevant: Floats) -> float:
    """Return the mean, over relevant clips, of the precision down to each; both are (clips,).

    Clips are ranked by falling score, and of equal ones the relevant come last, so that a score which is the
    same everywhere gets no credit. At least one clip must be relevant.
    """
    ranked = relevant[np.lexsort((relevant, -scores))]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked > 0].mean())


def overlaps(found: Floats, truth: Floats) -> Floats:
    """Return the intersection over union (L,) of times `found` (2,) or (L, 2) with each of `truth` (L, 2).

    Times that do not meet have minus their distance in place of the intersection, so that the nearest one
    has the highest value.
    """
    first, last = found[..., 0], found[..., 1]
    shared = np.minimum(last, truth[:, 1]) - np.maximum(first, truth[:, 0])
    return np.asarray(shared / (np.maximum(last, truth[:, 1]) - np.minimum(first, truth[:, 0])))


def places_right(found: Floats, truth: Floats) -> dict[str, Floats]:
    """Return which of the places `found` (L, 2) are right (L,), 1 or 0, by two measures; NaN is wrong.

    `overlap_half`: the intersection with `truth` (L, 2) is at least half of the union. `centre_inside`: the
    centre lies within the true place.
    """
    centre = found.mean(1)
    return {
        "overlap_half": (overlaps(found, truth) >= HALF).astype(np.float64),
        "centre_inside": ((truth[:, 0] <= centre) & (centre < truth[:, 1])).astype(np.float64),
    }
