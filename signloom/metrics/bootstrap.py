"""Percentile bootstrap over clips, computed from per-clip counts."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Score = Callable[[Floats], Floats]

NO_CLIP = "no clip in this data set"  # the reason of a figure without clips
NOT_DECODED = "sign2text.task is signs: no sentence decoder is trained"  # of a figure of sentences
_LEVEL = (2.5, 97.5)
_CHUNK = 4_000_000  # resampled clips in memory at a time


def resamples(clips: int, count: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield chunks (R, clips) of row numbers drawn with replacement, `count` rows in all."""
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // max(clips, 1))
    for start in range(0, count, rows):
        yield generator.integers(0, clips, (min(rows, count - start), clips))


def interval(stats: Floats, score: Score, count: int, seed: int) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of `score` over `count` resamples of clips (Efron 1979).

    `stats` (clips, K) are counts that add up over clips; `score` maps sums (R, K) to values (R,).
    Resamples with an undefined score (NaN) are left out. Returns None if all are undefined.
    """
    if not len(stats):
        return None
    return bounds([score(sums(rows, stats)) for rows in resamples(len(stats), count, seed)])


def sums(rows: npt.NDArray[np.int64], stats: Floats) -> Floats:
    """Return the sums (R, K) of `stats` over each resample, from how often it holds each clip."""
    clips = len(stats)
    shifted = rows + np.arange(len(rows))[:, None] * clips
    weights = np.bincount(shifted.ravel(), minlength=len(rows) * clips).reshape(len(rows), clips)
    # counts are whole numbers far below 2 ** 53, so the product is exact whatever the order of its sums
    return np.asarray(weights.astype(np.float64) @ stats)


def bounds(chunks: list[Floats]) -> tuple[float, float] | None:
    """Return the 2.5th and the 97.5th percentile of the defined values of `chunks`, or None without any."""
    values = np.concatenate(chunks)
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.percentile(defined, _LEVEL)
    return float(low), float(high)


def ratio(sums: Floats) -> Floats:
    """Return column 0 divided by column 1 of `sums` (R, 2), and NaN where column 1 is 0."""
    undefined = np.full(len(sums), np.nan)
    return np.asarray(np.divide(sums[:, 0], sums[:, 1], out=undefined, where=sums[:, 1] > 0))


def figure(name: str, stats: Floats, score: Score, count: int, seed: int, reason: str) -> dict[str, Any]:
    """Return `name`, `name_low`, `name_high` for a metric file; null with `name_reason` if undefined.

    `stats` (clips, K) and `score` are as in `interval`; `reason` says why the value may be undefined.
    """
    value = float(score(stats.sum(0, keepdims=True))[0]) if len(stats) else float("nan")
    return entry(name, value, interval(stats, score, count, seed), reason)


def mean_figure(name: str, values: Floats, count: int, seed: int, reason: str) -> dict[str, Any]:
    """Return the entries of the mean of `values` (clips,); clips without a value (NaN) are left out."""
    defined = values[~np.isnan(values)]
    return figure(name, np.stack([defined, np.ones_like(defined)], 1), ratio, count, seed, reason)


def median_figure(name: str, values: Floats, count: int, seed: int, reason: str) -> dict[str, Any]:
    """Return the entries of the median of `values` (clips,); clips without a value (NaN) are left out."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return entry(name, float("nan"), None, reason)
    medians = [np.median(defined[rows], axis=1) for rows in resamples(len(defined), count, seed)]
    return entry(name, float(np.median(defined)), bounds(medians), reason)


def entry(name: str, value: float, interval: tuple[float, float] | None, reason: str) -> dict[str, Any]:
    """Return `name`, `name_low`, `name_high` for a metric file; null with `name_reason` if undefined."""
    if np.isnan(value) or interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None, f"{name}_reason": reason}
    # round to twelve decimals: beyond them, sums of floats depend on the order of the terms
    low, high = interval
    return {name: round(value, 12), f"{name}_low": round(low, 12), f"{name}_high": round(high, 12)}


def deviation(name: str, values: Sequence[float], reason: str) -> dict[str, Any]:
    """Return the sample deviation of `values` as `<name>_std`; null with `reason` if there is one value."""
    if len(values) < 2:
        return {f"{name}_std": None, f"{name}_std_reason": reason}
    return {f"{name}_std": float(np.std(values, ddof=1))}
