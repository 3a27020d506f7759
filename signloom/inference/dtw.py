"""Similarity of two frame sequences that may run at different speeds."""

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BAND = 0.1  # of the longer sequence


def dtw_score(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Return 1 - d^2 / (2 (T1 + T2)) of frames `a` (T1, D) and `b` (T2, D): from -1 to 1, 1 for equal frames.

    d is the dynamic time warping distance (Sakoe and Chiba 1978) of the frames' directions, within a band of
    a tenth of the longer sequence. dtaidistance computes it if installed, else NumPy, which is slower
    and gives the same result. Raises ValueError without frames.
    """
    return score_of_units(unit_rows(a), unit_rows(b))


def score_of_units(a: Floats, b: Floats) -> float:
    """Return `dtw_score` of sequences that are `unit_rows` already."""
    if not len(a) or not len(b):
        raise ValueError("a sequence without frames cannot be compared")
    window = math.ceil(BAND * max(len(a), len(b)))
    try:
        from dtaidistance import dtw_ndim
    except ImportError:
        squared = banded(a, b, window)
    else:
        squared = float(dtw_ndim.distance_fast(a, b, window=window)) ** 2
    return 1 - squared / (2 * (len(a) + len(b)))


def unit_rows(frames: npt.NDArray[np.floating]) -> Floats:
    """Return `frames` (T, D) scaled to unit rows, C-contiguous; a frame of zeros stays zero."""
    wide = np.ascontiguousarray(frames, np.float64)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(np.divide(wide, norm, out=np.zeros_like(wide), where=norm > 0))


def banded(a: Floats, b: Floats, window: int) -> float:
    """Return the smallest sum of squared distances of frames along a warping path within `window`.

    A path stays within `window` frames of the diagonals that begin at the first frames and end at the last
    ones, as in dtaidistance. The table is filled by anti-diagonals, each computed from the two before it.
    """
    rows, columns = len(a), len(b)
    square = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    low, high = max(0, rows - columns) + window, max(0, columns - rows) + window
    # column i of a diagonal is row i - 1 of the table; column 0 and cells outside the band stay infinite
    before, last = np.full((2, rows + 1), np.inf)
    before[0] = 0.0
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        i = i[(j > i - low) & (j < i + high)]
        now = np.full(rows + 1, np.inf)
        now[i + 1] = np.maximum(square[i, diagonal - i], 0.0) + np.minimum(
            np.minimum(last[i], last[i + 1]), before[i]
        )
        before, last = last, now
    return float(last[rows])
