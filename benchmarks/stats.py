"""Compare one-pass global statistics with two passes in float64 with NaN-aware NumPy functions.

    python -m benchmarks.stats

The accuracy is the largest relative error of a deviation against the two passes. One column varies little
around a value far from zero; the error of single-precision sums of squares is shown for it as well.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks import say_ratio
from signloom.features.pose.layout import FEATURE_DIM, FEATURE_PARTS
from signloom.features.stats import PartMoments
from signloom.processors import usable_cores


def make_clips(clips: int, frames: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return features with missing parts and their masks; column 0 varies by 1e-3 around 100."""
    rng = np.random.default_rng(0)
    features, masks = [], []
    for _ in range(clips):
        rows = rng.standard_normal((frames, FEATURE_DIM), np.float32)
        rows[:, 0] = 100 + 1e-3 * rows[:, 0]
        mask = (rng.random((frames, len(FEATURE_PARTS))) > (0, 0.3, 0.2, 0.05)).astype(np.uint8)
        for number, columns in enumerate(FEATURE_PARTS.values()):
            rows[mask[:, number] == 0, columns] = np.nan
        features.append(rows)
        masks.append(mask)
    return features, masks


def two_passes(features: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of all clips, reading the clips one at a time, twice."""
    count = sum(np.isfinite(rows).sum(axis=0) for rows in features)
    mean = sum(np.nansum(rows.astype(np.float64), axis=0) for rows in features) / count
    squares = sum(np.nansum((rows.astype(np.float64) - mean) ** 2, axis=0) for rows in features)
    return mean, np.sqrt(np.maximum(squares / count, 1e-8))


def main() -> None:
    """Measure; print a row of a Markdown table and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--frames", type=int, default=180)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    features, masks = make_clips(args.clips, args.frames)
    ours, theirs = [], []
    for _ in range(args.repeats):
        started = time.perf_counter()
        moments = PartMoments()
        for rows, mask in zip(features, masks, strict=True):
            moments.add(rows, mask)
        mean, deviation = moments.result()
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        exact_mean, exact = two_passes(features)
        theirs.append(time.perf_counter() - started)
    column = np.concatenate([rows[:, 0] for rows in features])
    single = np.mean(column**2, dtype=np.float32) - np.mean(column, dtype=np.float32) ** 2
    error = np.abs(deviation / exact - 1).max()
    gigabytes = sum(rows.nbytes for rows in features) / 1e9
    cores = usable_cores()
    print(
        f"largest error of a mean {np.abs(mean - exact_mean).max():.1e}, of a deviation {error:.1e} (float32)"
    )
    print(f"column 0: deviation {exact[0]:.4e}; float32 E[x^2]-E[x]^2 gives a variance of {single:.1e}")
    print(
        f"| global statistics | {cores} cores, 1 process | {gigabytes / min(ours):.2f} GB/s one pass | "
        f"{gigabytes / min(theirs):.2f} GB/s two passes | {min(theirs) / min(ours):.1f}x |"
    )
    say_ratio("one pass against two", min(theirs) / min(ours))


if __name__ == "__main__":
    main()
