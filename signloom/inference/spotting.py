"""Where an example of a sign occurs in a longer clip, by subsequence dynamic time warping.

The example may begin and end anywhere in the clip (Müller 2007, "Information Retrieval for Music and Motion",
section 4.4), and is warped by the steps of Itakura (1975, "Minimum Prediction Residual Principle Applied to
Speech Recognition"): each row of the example lies 0, 1 or 2 rows after the one before it, and never 0 twice
in a row. So what is found is between half and twice as long as the example.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from signloom.inference.dtw import Floats, unit_rows
from signloom.inference.gloss_places import Place

Indices = npt.NDArray[np.intp]
_Values = TypeVar("_Values", Floats, Indices)


def compared_rows(states: npt.NDArray[np.floating], log_probs: npt.NDArray[np.floating]) -> Floats:
    """Return unit rows (T, W + V) of a gloss network's states (T, W) and CTC log-probabilities (T, V).

    The cosine of two rows is the mean of the cosine of their states and of the Bhattacharyya coefficient of
    their probabilities. Probabilities as what an example is compared by: Hazen, Shen and White 2009,
    "Query-by-example spoken term detection using phonetic posteriorgram templates".
    """
    heard = np.exp(log_probs.astype(np.float64) / 2)
    return unit_rows(np.concatenate([unit_rows(states), heard], axis=1))


def spot(
    example: npt.NDArray[np.floating], frames: npt.NDArray[np.floating], most: int | None = None
) -> list[Place]:
    """Return the places of `frames` (T, D) that are most like `example` (N, D), best first, at most `most`.

    Places do not overlap. A score is the mean cosine along the warping path, -1 to 1. There is no place if
    the clip has fewer than half as many rows as the example. Raises ValueError without an example.
    """
    if not len(example):
        raise ValueError("an example without rows cannot be found")
    if not len(frames):  # rows of no width either
        return []
    return best_places(1 - unit_rows(example) @ unit_rows(frames).T, most)


def rows_within(times: Floats, start_s: float, end_s: float) -> slice:
    """Return the rows shown at `times` (T,) from `start_s` to before `end_s`, at least the nearest row."""
    first, last = np.searchsorted(times, (start_s, end_s))
    if first < last:
        return slice(int(first), int(last))
    nearest = int(np.abs(times - (start_s + end_s) / 2).argmin())
    return slice(nearest, nearest + 1)


def best_places(distances: Floats, most: int | None = None) -> list[Place]:
    """Return the places with the lowest mean of `distances` (N, T) along a path; see `spot`."""
    means, starts = paths(distances)
    free = np.ones(len(means), bool)
    found: list[Place] = []
    for last in np.argsort(means, kind="stable")[: np.isfinite(means).sum()]:
        start = starts[last]
        if len(found) == most:
            break
        if free[start : last + 1].all():
            free[start : last + 1] = False
            found.append(Place(float(start), float(last + 1), float(1 - means[last])))
    return found


def paths(distances: Floats) -> tuple[Floats, Indices]:
    """Return the mean distance (T,) of the best path that ends on each row of a clip, and its first row (T,).

    `distances` (N, T) are those of the example's rows to the clip's. The mean is over the example's rows,
    infinite where no path ends.
    """
    rows = np.arange(distances.shape[1])
    # of all paths, and of those whose last step moved, because only they may stay
    best, start = distances[0].astype(np.float64), rows
    moved, moved_start = best, start
    for row in distances[1:]:
        one, two = (_later(best, step, np.inf) + row for step in (1, 2))
        stayed, stayed_start = moved + row, moved_start
        nearer = one <= two
        moved = np.where(nearer, one, two)
        moved_start = np.where(nearer, _later(start, 1, 0), _later(start, 2, 0))
        ahead = moved <= stayed
        best, start = np.where(ahead, moved, stayed), np.where(ahead, moved_start, stayed_start)
    return best / len(distances), start


def _later(values: _Values, step: int, first: float) -> _Values:
    """Return `values` (T,) moved `step` rows on, and `first` before them; NumPy's own `roll` is slow."""
    moved = np.empty_like(values)
    moved[:step], moved[step:] = first, values[:-step]
    return moved


def windows(rows: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Yield windows of `width` rows over `rows` rows, and the part of each to keep: every row is kept once.

    Neighbouring windows share half of their rows or more, and each keeps the half of these that is farther
    from its edge. A clip of fewer rows is one window.
    """
    last = max(rows - width, 0)
    starts = sorted({*range(0, last, max(width // 2, 1)), last}) if rows else []
    edges = [0, *((first + width + second) // 2 for first, second in pairwise(starts)), rows]
    for start, (first, end) in zip(starts, pairwise(edges), strict=False):
        yield slice(start, min(start + width, rows)), slice(first - start, end - start)
