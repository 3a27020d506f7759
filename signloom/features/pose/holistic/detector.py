"""Read the boxes of a single-shot detector (Liu et al., ECCV 2016; BlazeFace, Bazarevsky et al., 2019)."""

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.holistic.rects import Points, sigmoid

_MIN_OVERLAP = 0.3
_MAX_LOGIT = 100


def anchors(side: int, strides: tuple[int, ...]) -> Points:
    """Return the centres (N, 2) of a detector's boxes in shares of its input.

    Each stride has two boxes in every cell.
    """
    rows = []
    for stride in sorted(set(strides)):
        count = side // stride
        middles = (np.arange(count) + 0.5) / count
        cells = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        rows.append(np.repeat(cells, 2 * strides.count(stride), axis=0))
    return np.concatenate(rows).astype(np.float32)


def best_points(
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    anchors: Points,
    side: int,
    min_score: float,
) -> Points | None:
    """Return the key points (K, 2) of the best detection in shares of the input; None if there is none.

    `boxes` (1, N, 4 + 2 K) are centre, sides and key points in pixels from the anchor. The points are the
    means over all boxes that overlap with the best one, weighted by their scores.
    """
    scores = sigmoid(logits.reshape(-1).clip(-_MAX_LOGIT, _MAX_LOGIT))
    kept = np.flatnonzero(scores >= min_score)
    if not len(kept):
        return None
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    values, centres = boxes[0, kept] / np.float32(side), anchors[kept]
    middles, halves = values[:, :2] + centres, values[:, 2:4] / 2
    near = _overlaps(middles - halves, middles + halves) > _MIN_OVERLAP
    near[0] = True
    points = values[near, 4:].reshape(int(near.sum()), -1, 2) + centres[near, None]
    weights = scores[kept][near]
    # summed one after another, as MediaPipe does
    total: Points = np.add.accumulate(weights[:, None, None] * points)[-1] / np.add.accumulate(weights)[-1]
    return total


def _overlaps(low: Points, high: Points) -> Points:
    """Return the intersection over union of the first box with every box."""
    shared = (np.minimum(high, high[0]) - np.maximum(low, low[0])).clip(0).prod(axis=1)
    areas = (high - low).prod(axis=1)
    union: Points = shared / (areas + areas[0] - shared)
    return union
