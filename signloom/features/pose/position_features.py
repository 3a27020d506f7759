"""Features of a clip that has only the positions of both hands and the nose, in pixels.

A point is missing if a coordinate is empty or negative, or if both are 0, as trackers write it. A feature is
NaN in frames that lack one of its points, so that a missing point never looks like a position.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.layout import PARTS
from signloom.params.features import Group

Array = NDArray[np.float64]
POINTS = ("left", "right", "nose")
COLUMNS = [f"{point}-{axis}" for point in POINTS for axis in "xy"]
# lower bound of a deviation in pixels, so that the jitter of a resting hand is not blown up
_LEAST_SPREAD = 1.0


def read_points(columns: Sequence[str], values: Array) -> Array:
    """Return the positions (T, 3, 2) of left hand, right hand and nose from `values` (T, columns).

    A missing point is NaN. Raises SignloomError if `columns` lacks one of `left-x` to `nose-y`.
    """
    lacking = [name for name in COLUMNS if name not in columns]
    if lacking:
        raise SignloomError(f"column {lacking[0]!r} is missing; the table has: {', '.join(columns)}")
    chosen = values[:, [list(columns).index(name) for name in COLUMNS]]
    points: Array = chosen.reshape(len(values), len(POINTS), 2).copy()
    there = (points >= 0).all(axis=-1) & (points > 0).any(axis=-1)
    points[~there] = np.nan
    return points


def presence(points: Array) -> NDArray[np.uint8]:
    """Return the mask (T, 4) of pose, left hand, right hand and face; the nose represents the pose."""
    mask = np.zeros((len(points), len(PARTS)), np.uint8)
    seen = np.isfinite(points).all(axis=2)
    mask[:, [PARTS.index(part) for part in ("left_hand", "right_hand", "pose")]] = seen
    return mask


def position_features(points: Array, groups: Sequence[Group], span: int) -> Array:
    """Return the columns (T, D) of `groups`, in their order, for `points` (T, 3, 2).

    hands: both hands relative to the nose (4 columns); nose: its position (2); hands_clip: hands minus their
    mean over the clip, in standard deviations (4); nose_clip: nose minus its median over the clip (2);
    between: from the right to the left hand (2); velocity: of hands and nose over `span` frames to each side,
    pixels per frame (6); acceleration: likewise, pixels per frame squared (6); speed: of both hands (2).
    """
    nose = points[:, 2]
    hands = (points[:, :2] - nose[:, None]).reshape(len(points), 4)
    moving = np.concatenate([hands, nose], axis=1)
    velocity = velocities(moving, span)
    made = {
        "hands": hands,
        "nose": nose,
        "hands_clip": standardise(hands),
        "nose_clip": nose - _over_clip(np.nanmedian, nose),
        "between": hands[:, :2] - hands[:, 2:],
        "velocity": velocity,
        "acceleration": accelerations(moving, span),
        "speed": np.linalg.norm(velocity[:, :4].reshape(len(points), 2, 2), axis=-1),
    }
    return np.concatenate([made[name] for name in groups], axis=1)


def stack_frames(x: NDArray[Any], count: int, every: int, start: int = 0) -> NDArray[Any]:
    """Return every `every`-th row of `x` (T, D) from `start` on, as `count` neighbouring rows side by side.

    The row itself is in the middle, or right of the middle if `count` is even; the ends are repeated.
    """
    at = np.arange(start, len(x), every)
    places = at[:, None] + np.arange(count) - count // 2
    stacked: NDArray[Any] = x[np.clip(places, 0, max(len(x) - 1, 0))]
    return stacked.reshape(len(at), count * x.shape[1])


def width_of(groups: Sequence[Group]) -> int:
    """Return the number of columns that `position_features` makes."""
    return int(position_features(np.zeros((0, len(POINTS), 2)), groups, 1).shape[1])


def velocities(x: Array, span: int) -> Array:
    """Return the mean change of `x` (T, D) per frame, from `span` frames before to `span` frames after.

    At the ends of the clip the range is shorter; the velocity of a single frame is 0.
    """
    before, after = _neighbours(len(x), span)
    change: Array = (x[after] - x[before]) / np.maximum(after - before, 1)[:, None]
    return change


def accelerations(x: Array, span: int) -> Array:
    """Return (x[t + span] - 2 x[t] + x[t - span]) / span**2 of `x` (T, D), the ends repeated."""
    before, after = _neighbours(len(x), span)
    return (x[after] - 2 * x + x[before]) / span**2


def standardise(x: Array) -> Array:
    """Return `x` (T, D) minus its mean over the clip, in deviations of at least one pixel; NaN is ignored."""
    return (x - _over_clip(np.nanmean, x)) / np.maximum(_over_clip(np.nanstd, x), _LEAST_SPREAD)


def _neighbours(length: int, span: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    at = np.arange(length)
    return np.maximum(at - span, 0), np.minimum(at + span, length - 1)


def _over_clip(summary: Callable[..., Array], x: Array) -> Array:
    """Return `summary`, one of NumPy's nan-functions, of every column (D,); NaN for an empty column."""
    known = np.isfinite(x).any(axis=0)
    found = np.full(x.shape[1], np.nan)
    if known.any():
        found[known] = summary(x[:, known], axis=0)
    return found
