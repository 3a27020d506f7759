"""Bootstrap over signers: what other signers would change, where clips of one signer are not independent."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from signloom.console import number_of
from signloom.metrics.bootstrap import Floats, Score, bounds, entry

FEWEST = 5  # with fewer signers, resampling them says little about others


def signer_interval(
    stats: Floats, signers: Sequence[str], score: Score, count: int, seed: int
) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of `score` over `count` resamples of signers, then of their clips.

    `stats` (clips, K) are counts that add up over clips, `signers` (clips,) their signers; `score` maps sums
    (R, K) to values (R,). Returns None if all resamples are undefined.
    """
    return bounds([score(np.array([stats[rows].sum(0) for rows in signer_resamples(signers, count, seed)]))])


def signer_resamples(signers: Sequence[str], count: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield `count` resamples of signers, then of their clips: the row numbers of the clips of each.

    `signers` (clips,) are those of the clips. This is the two-stage bootstrap of Davison and Hinkley,
    "Bootstrap Methods and their Application" (1997), section 3.8, with replacement at both stages.
    """
    _, place = np.unique(np.array(signers, dtype=object).astype(str), return_inverse=True)
    groups = [np.flatnonzero(place == number) for number in range(place.max() + 1)]
    generator = np.random.default_rng(seed)
    for _ in range(count):
        drawn = (groups[number] for number in generator.integers(0, len(groups), len(groups)))
        yield np.concatenate([clips[generator.integers(0, len(clips), len(clips))] for clips in drawn])


def signer_figure(
    name: str, stats: Floats, signers: Sequence[str], score: Score, count: int, seed: int, reason: str
) -> dict[str, Any]:
    """Return `name`, `name_low`, `name_high` for a metric file, with the bounds of `signer_interval`."""
    value = float(score(stats.sum(0, keepdims=True))[0]) if len(stats) else float("nan")
    return signer_entry(
        name, value, signers, lambda: signer_interval(stats, signers, score, count, seed), reason
    )


def signer_entry(
    name: str,
    value: float,
    signers: Sequence[str],
    interval: Callable[[], tuple[float, float] | None],
    reason: str,
) -> dict[str, Any]:
    """Return `name`, `name_low`, `name_high` for a metric file, with the bounds that `interval` returns.

    Below `FEWEST` signers the bounds are null and `name_reason` says so. Without a value all are null, with
    `reason`.
    """
    if np.isnan(value):
        return entry(name, value, None, reason)
    known = len(set(signers) - {""})
    if known < FEWEST or "" in signers:
        few = f"too few signers for an interval: {known}, expected {FEWEST} or more"
        if known >= FEWEST:
            which = number_of(list(signers).count(""), "clip has", "clips have")
            few = f"no interval over signers: {which} no signer"
        return {name: round(value, 12), f"{name}_low": None, f"{name}_high": None, f"{name}_reason": few}
    return entry(name, value, interval(), reason)
