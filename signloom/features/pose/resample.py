"""Resample a part of the body to even times: short gaps are interpolated, long gaps stay missing."""

import numpy as np
from numpy.typing import NDArray

from signloom.video.thinning import ROUNDING_S

Array = NDArray[np.float64]


def time_grid(times: Array, fps: float) -> Array:
    """Return times (T,), 1 / `fps` s apart, from the first to the last of `times` (n,) in seconds."""
    if not len(times):
        return np.empty(0)
    count = int(np.floor((times[-1] - times[0] + ROUNDING_S) * fps)) + 1
    return np.asarray(times[0] + np.arange(count) / fps, np.float64)


def nearest_frames(times: Array, grid: Array) -> NDArray[np.int64]:
    """Return for every time of `grid` (T,) the index of the nearest of `times` (n,), the earlier at a tie."""
    middles = (times[1:] + times[:-1]) / 2
    return np.searchsorted(middles, grid, side="left").astype(np.int64)


def resample_part(values: Array, times: Array, grid: Array, fps: float, max_gap: int) -> Array:
    """Return `values` (n, d) at `times` (n,), linearly interpolated to `grid` (T,).

    A row with a NaN is missing. Values are interpolated between neighbouring frames, and across runs of
    missing rows of at most `max_gap` frames of 1 / `fps` s. Every other time takes the value of its nearest
    frame, which is NaN if that row is missing.
    """
    present = np.asarray(np.isfinite(values).all(axis=1))
    known = np.flatnonzero(present)
    nearest = nearest_frames(times, grid)
    out = np.where(present[nearest, None], values[nearest], np.nan)
    if len(known) < 2:
        return out
    # the known frames before and after every time
    right = np.searchsorted(times[known], grid, side="left").clip(1, len(known) - 1)
    before, after = known[right - 1], known[right]
    span = times[after] - times[before]
    inside = (grid >= times[before]) & (grid <= times[after])
    missing_frames = np.rint(span * fps) - 1
    joined = inside & (span > 0) & ((after - before == 1) | (missing_frames <= max_gap))
    weight = ((grid - times[before]) / np.where(span > 0, span, 1.0))[joined, None]
    out[joined] = (1 - weight) * values[before[joined]] + weight * values[after[joined]]
    return out
