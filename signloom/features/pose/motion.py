"""How fast a person moves, in shoulder widths per second, independent of the camera."""

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.layout import ARM_JOINTS, SHOULDERS

Array = NDArray[np.float64]
# joints that the tracker reports as hidden drift, which is not motion of the person
VISIBLE = 0.5
# what `summarise` returns
MOTION = ("motion_mean", "motion_p50", "motion_p95", "motion_max")


def shoulder_width(pose: Array) -> float:
    """Return the median 2-D distance between the shoulders of `pose` (T, 33, 4); NaN without a pose."""
    widths = np.linalg.norm(pose[:, SHOULDERS[0], :2] - pose[:, SHOULDERS[1], :2], axis=-1)
    widths = widths[np.isfinite(widths)]
    return float(np.median(widths)) if len(widths) else float("nan")


def frame_motion(pose: Array, left: Array, right: Array, fps: float) -> Array:
    """Return the motion (T,) of every frame, in shoulder widths per second.

    It is the mean 2-D speed since the previous frame of all points that both frames show: visible shoulders,
    elbows and wrists of `pose` (T, 33, 4), and points of the hands (T, 21, 3). Without such a point, as in
    the first frame, it is NaN.
    """
    joints = pose[:, ARM_JOINTS, :2].copy()
    joints[~(pose[:, ARM_JOINTS, 3] >= VISIBLE)] = np.nan
    points = np.concatenate([joints, left[..., :2], right[..., :2]], axis=1)
    speeds = np.full(points.shape[:2], np.nan)
    speeds[1:] = np.linalg.norm(np.diff(points, axis=0), axis=-1) * fps
    width = shoulder_width(pose)
    if not width > 0:
        return np.full(len(points), np.nan)
    seen = np.isfinite(speeds)
    count = seen.sum(axis=1)
    total = np.where(seen, speeds, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan) / width


def summarise(motion: Array) -> dict[str, float]:
    """Return mean, median, 95th percentile and maximum of the finite values of `motion` (T,), else NaN."""
    known = motion[np.isfinite(motion)]
    if not len(known):
        return dict.fromkeys(MOTION, float("nan"))
    figures = (known.mean(), *np.percentile(known, [50, 95]), known.max())
    return {name: float(figure) for name, figure in zip(MOTION, figures, strict=True)}
