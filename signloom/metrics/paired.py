"""Whether two models differ on the same clips: paired test, intervals over clips, seeds, signers, Holm."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from signloom.metrics.bootstrap import Floats, Score, bounds, resamples, sums
from signloom.metrics.signers import signer_figure

LEVEL = 0.05
_CHUNK = 2_000_000  # coins thrown at a time


class Pair(NamedTuple):
    """Counts (seeds, clips, K) of the same clips in two builds, the score of their sums, their signers."""

    a: Floats
    b: Floats
    score: Score
    signers: Sequence[str] = ()

    @property
    def changed(self) -> npt.NDArray[np.bool_]:
        """Which clips' counts differ, each averaged over seeds."""
        return np.asarray((self.a.mean(0) != self.b.mean(0)).any(1))


def swap_test(pair: Pair, count: int, seed: int) -> float:
    """Return the p-value of no difference, by swapping the two builds' answers to clips at random.

    This is approximate randomisation (Noreen, "Computer-Intensive Methods for Testing Hypotheses", 1989,
    chapter 2): without a true difference, either build could have given either answer to a clip. Two-sided;
    the observed answers are among those counted. The counts of several seeds are averaged first.
    """
    changed = pair.changed
    if not changed.any():
        return 1.0
    first, second = pair.a.mean(0), pair.b.mean(0)
    moved, first, second = (second - first)[changed], first.sum(0), second.sum(0)
    # a hair's breadth, because sums of the same terms differ in their last digits
    observed = abs(pair.score(second[None]) - pair.score(first[None])) * (1 - 1e-9)
    extreme = 0
    for swapped in _coins(len(moved), count, seed):
        shift = swapped @ moved
        extreme += int((abs(pair.score(second - shift) - pair.score(first + shift)) >= observed).sum())
    return (1 + extreme) / (1 + count)


def _coins(clips: int, count: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // clips)
    for start in range(0, count, step):
        yield generator.integers(0, 2, (min(step, count - start), clips)).astype(np.float64)


def paired_interval(pair: Pair, count: int, seed: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of the difference over `count` resamples of clips.

    Where a build has several seeds, these are resampled too. Their spread is widened by the square root of
    k / (k - 1), because a resample of k seeds varies less than k new ones would.
    """
    generator = np.random.default_rng([seed, 1])
    both, of_a = np.concatenate([pair.a, pair.b]).swapaxes(0, 1), len(pair.a)
    clips, runs, columns = both.shape
    found = []
    for rows in resamples(clips, count, seed):
        total = sums(rows, both.reshape(clips, -1))
        scores = pair.score(total.reshape(-1, columns)).reshape(-1, runs)
        found.append(_over_seeds(scores[:, of_a:], generator) - _over_seeds(scores[:, :of_a], generator))
    return bounds(found) or (float("nan"), float("nan"))


def _over_seeds(scores: Floats, generator: np.random.Generator) -> Floats:
    """Return the mean (R,) of the scores (R, seeds) of each resample of clips, over a resample of seeds."""
    seeds, mean = scores.shape[1], scores.mean(1)
    if seeds == 1:
        return np.asarray(mean)
    drawn = generator.multinomial(seeds, np.full(seeds, 1 / seeds), len(scores)) / seeds
    return np.asarray(mean + ((drawn * scores).sum(1) - mean) * np.sqrt(seeds / (seeds - 1)))


def signer_difference(pair: Pair, count: int, seed: int) -> dict[str, Any]:
    """Return `difference_by_signer` with its bounds over resamples of signers, then of their clips.

    It is that of the seeds' mean scores. With few signers the bounds are null (`signers.signer_figure`).
    """
    of_a, _, columns = pair.a.shape
    both = np.concatenate([*pair.a, *pair.b], 1)

    def difference(sums: Floats) -> Floats:
        scores = pair.score(sums.reshape(-1, columns)).reshape(len(sums), -1)
        return np.asarray(scores[:, of_a:].mean(1) - scores[:, :of_a].mean(1))

    return signer_figure("difference_by_signer", both, pair.signers, difference, count, seed, "undefined")


def signer_bounds(figures: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the bounds of `signer_difference`, None for both with too few signers."""
    return figures["difference_by_signer_low"], figures["difference_by_signer_high"]


def decided(p: float, *intervals: tuple[float | None, float | None]) -> bool:
    """Return whether a corrected `p` is below 0.05 and all `intervals` that have bounds leave out 0."""
    known = [(low, high) for low, high in intervals if low is not None and high is not None]
    return p < LEVEL and all(low > 0 or high < 0 for low, high in known)


def holm(values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979, "A Simple Sequentially Rejective ...")."""
    order = np.argsort(values, kind="stable")
    corrected, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = largest
    return corrected
