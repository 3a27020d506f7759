"""Make new sentences from signed ones with known gloss times: parts, joined parts, swapped glosses.

Rows are cut only between glosses, halfway between the end of one and the start of the next, so that every
row keeps its gloss. Rows are (T, D) with T at least 1; masks are (T, M).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
_ROUNDING = 2e-6  # of times in files, which have six decimals


class Signed(NamedTuple):
    """Rows, the ids of their glosses in order, and where the rows of each gloss begin and end.

    `cuts` ascends from 0 to T and has one number more than `ids`: gloss i has the rows `cuts[i]` to
    `cuts[i + 1] - 1`.
    """

    values: Array  # (T, D)
    mask: npt.NDArray[Any]  # (T, M)
    ids: tuple[int, ...]
    cuts: tuple[int, ...]


# where each gloss was signed: a sentence and the gloss's number in it
Places = Mapping[int, Sequence[tuple[Signed, int]]]


def cut_places(
    starts: Sequence[float], ends: Sequence[float], times: Sequence[float] | npt.NDArray[np.floating[Any]]
) -> tuple[int, ...]:
    """Return `Signed.cuts` for glosses from `starts[i]` to just before `ends[i]`.

    `times` (T,) are the times of the rows, ascending, in the same unit. Glosses are ordered by start. If two
    overlap, the cut is in the middle of the overlap. Cuts never descend, so a gloss between two overlapping
    ones may have no row.
    """
    # a row exactly in the middle belongs to the later gloss, even if its time was rounded down
    middles = (np.asarray(ends[:-1], np.float64) + np.asarray(starts[1:], np.float64)) / 2
    inner = np.maximum.accumulate(np.searchsorted(times, middles - _ROUNDING))
    return (0, *(int(place) for place in inner), len(times))


def part(signed: Signed, first: int, last: int) -> Signed:
    """Return the glosses `first` to `last - 1` with their rows."""
    start, stop = signed.cuts[first], signed.cuts[last]
    cuts = tuple(cut - start for cut in signed.cuts[first : last + 1])
    return Signed(signed.values[start:stop], signed.mask[start:stop], signed.ids[first:last], cuts)


def join(parts: Sequence[Signed]) -> Signed:
    """Return `parts`, one after the other, as one sentence."""
    ids: list[int] = []
    cuts = [0]
    for piece in parts:
        ids += piece.ids
        cuts += [cuts[-1] + cut for cut in piece.cuts[1:]]
    values = np.concatenate([piece.values for piece in parts])
    return Signed(values, np.concatenate([piece.mask for piece in parts]), tuple(ids), tuple(cuts))


def random_part(signed: Signed, fewest: int, most: int, rng: np.random.Generator) -> Signed:
    """Return `fewest` to `most` successive glosses; every number and every place is equally likely.

    If the part has no rows, because its glosses lie within others, the whole sentence is returned.
    """
    count = int(rng.integers(fewest, most + 1))
    first = int(rng.integers(0, len(signed.ids) - count + 1))
    taken = part(signed, first, first + count)
    return taken if len(taken.values) else signed


def places_of(sentences: Sequence[Signed]) -> Places:
    """Return the places in `sentences` where each gloss is signed; places without rows are left out."""
    places: dict[int, list[tuple[Signed, int]]] = defaultdict(list)
    for signed in sentences:
        for place, gloss in enumerate(signed.ids):
            if signed.cuts[place] < signed.cuts[place + 1]:
                places[gloss].append((signed, place))
    return dict(places)


def swap_glosses(signed: Signed, places: Places, swap_p: float, rng: np.random.Generator) -> Signed:
    """Return the same glosses, where with probability `swap_p` each takes its rows from a draw of `places`.

    A first gloss includes the pause before it and a last gloss the pause after it. So a gloss is replaced
    only if both places are first in their sentence or neither is, and likewise for last.
    """
    last = len(signed.ids) - 1
    parts = []
    for place, gloss in enumerate(signed.ids):
        found = places.get(gloss, ())
        chosen, at = signed, place
        if rng.random() < swap_p and len(found) > 1:
            source, there = found[int(rng.integers(len(found)))]
            if (there == 0, there == len(source.ids) - 1) == (place == 0, place == last):
                chosen, at = source, there
        parts.append(part(chosen, at, at + 1))
    return join(parts)


def recompose(
    signed: Signed, other: Signed, crop_p: float, join_p: float, rng: np.random.Generator
) -> Signed:
    """Shorten `signed` with probability `crop_p`, then join a part of `other` with probability `join_p`.

    The part may be all of `other`, and it comes before or after. A single gloss is not shortened.
    """
    if rng.random() < crop_p and len(signed.ids) > 1:
        signed = random_part(signed, 1, len(signed.ids) - 1, rng)
    if rng.random() < join_p and other.ids:
        added = random_part(other, 1, len(other.ids), rng)
        signed = join([signed, added] if rng.random() < 0.5 else [added, signed])
    return signed
