"""Compare two builds clip by clip: how far error rates moved, and whether that means anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.evaluation.datasets import NAMES
from signloom.metrics.bootstrap import Floats, bounds, resamples

LEVEL = 0.05
_CHUNK = 2_000_000  # signs drawn at a time


class Pair(NamedTuple):
    """The same clips in two builds: errors (seeds, clips) of each build, and reference words (clips,)."""

    a: Floats
    b: Floats
    words: Floats

    @property
    def difference(self) -> float:
        """The error rate of b minus that of a, each the mean over its seeds."""
        return float((self.b.mean(0) - self.a.mean(0)).sum() / self.words.sum())

    @property
    def many_seeds(self) -> bool:
        """Whether both builds have several seeds, so that the spread of seeds is known."""
        return min(len(self.a), len(self.b)) > 1


def compare(a: pd.DataFrame, b: pd.DataFrame, count: int, seed: int) -> list[dict[str, Any]]:
    """Return a row per model and data set that both builds scored without a fold.

    `a` and `b` are the answers of `runs.read_answers`. `difference` is the word error rate of b minus that of
    a on the clips that both have, with a 95 % interval (`paired_interval`); `p` is corrected for the number
    of rows (`holm`); `differs` is whether it is below 0.05, and, with several seeds a side, the interval does
    not include 0 either. `left_out` counts clips that only one build has.
    """
    rows = []
    for model in dict.fromkeys(a["model"]):
        for data in NAMES:
            mine, other = (
                side[(side["model"] == model) & (side["data"] == data) & (side["fold"] == "")]
                for side in (a, b)
            )
            if len(mine) and len(other):
                pair, left_out = paired(mine, other)
                rows.append(_row(str(model), data, pair, left_out, count, seed))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        outside = row["difference_low"] > 0 or row["difference_high"] < 0
        row["p"], row["differs"] = p, bool(p < LEVEL and (outside or not row["many_seeds"]))
    return rows


def _row(model: str, data: str, pair: Pair, left_out: int, count: int, seed: int) -> dict[str, Any]:
    low, high = paired_interval(pair, count, seed)
    return {
        "model": model,
        "data": data,
        "n": len(pair.words),
        "left_out": left_out,
        "seeds": [len(pair.a), len(pair.b)],
        "many_seeds": pair.many_seeds,
        "wer_a": float(pair.a.mean(0).sum() / pair.words.sum()),
        "wer_b": float(pair.b.mean(0).sum() / pair.words.sum()),
        "difference": pair.difference,
        "difference_low": low,
        "difference_high": high,
        "p": sign_flips(pair, count, seed),
    }


def paired(a: pd.DataFrame, b: pd.DataFrame) -> tuple[Pair, int]:
    """Return the clips that both tables have with equal references, and how many others there are."""
    keys = ["clip_id", "words"]
    errors = [side.pivot_table("errors", keys, "seed", sort=True).dropna() for side in (a, b)]
    both = errors[0].index.intersection(errors[1].index).sort_values()
    others = len(errors[0].index.union(errors[1].index)) - len(both)
    first, second = (table.loc[both].to_numpy(np.float64).T for table in errors)
    return Pair(first, second, both.get_level_values("words").to_numpy(np.float64)), others


def sign_flips(pair: Pair, count: int, seed: int) -> float:
    """Return the p-value of no difference, by flipping the signs of the clips' differences at random.

    This is Fisher's randomisation test for pairs (Good, "Permutation, Parametric and Bootstrap Tests of
    Hypotheses", 2005, section 3.2): without a true difference either build could have made either clip's
    errors. Two-sided; the observed signs are among those counted.
    """
    moved = pair.b.mean(0) - pair.a.mean(0)
    moved = moved[moved != 0]
    if not len(moved):
        return 1.0
    # a hair's breadth, because sums of the same terms differ in their last digits
    observed = abs(moved.sum()) * (1 - 1e-9)
    extreme = sum(int((np.abs(signs @ moved) >= observed).sum()) for signs in _signs(len(moved), count, seed))
    return (1 + extreme) / (1 + count)


def _signs(clips: int, count: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // clips)
    for start in range(0, count, step):
        yield generator.choice([-1.0, 1.0], (min(step, count - start), clips))


def paired_interval(pair: Pair, count: int, seed: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of the difference over `count` resamples of clips.

    Where a build has several seeds, these are resampled too. Their spread is widened by the square root of
    k / (k - 1), because a resample of k seeds varies less than k new ones would.
    """
    generator = np.random.default_rng([seed, 1])
    found = []
    for rows in resamples(len(pair.words), count, seed):
        a, b = (_of_seeds(side, rows, generator) for side in (pair.a, pair.b))
        found.append((b - a) / pair.words[rows].sum(1))
    low, high = bounds(found) or (float("nan"), float("nan"))
    return low, high


def _of_seeds(errors: Floats, rows: npt.NDArray[np.int64], generator: np.random.Generator) -> Floats:
    """Return the sum of errors (R,) of each resample of clips, averaged over a resample of seeds."""
    seeds = len(errors)
    mean = errors.mean(0)
    if seeds == 1:
        return np.asarray(mean[rows].sum(1))
    wide = mean + (errors - mean) * np.sqrt(seeds / (seeds - 1))
    drawn = generator.multinomial(seeds, np.full(seeds, 1 / seeds), len(rows)) / seeds
    sums = np.stack([one[rows].sum(1) for one in wide], 1)
    return np.asarray((drawn * sums).sum(1))


def holm(values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979, "A Simple Sequentially Rejective ...")."""
    order = np.argsort(values, kind="stable")
    corrected, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = largest
    return corrected


def most_changed(a: pd.DataFrame, b: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return `model, data, clip_id, signer_id, errors_a, errors_b` of the clips that changed most."""
    keys = ["model", "data", "clip_id", "signer_id"]
    first, second = (
        side[side["fold"] == ""].groupby(keys, as_index=False)["errors"].mean() for side in (a, b)
    )
    both = first.merge(second, on=keys, suffixes=("_a", "_b"))
    both = both.assign(moved=(both["errors_b"] - both["errors_a"]).abs())
    changed = both[both["moved"] > 0].sort_values("moved", ascending=False, kind="stable")
    return changed.head(count).drop(columns="moved").reset_index(drop=True)
