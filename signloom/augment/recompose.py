"""New sentences from signed ones whose glosses have known times: parts, joined parts, swapped glosses.

Rows are cut only between glosses, halfway between the end of one and the start of the next, so that every
row keeps its gloss. Rows are (T, D), T from 1 up; masks are (T, M).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
_ROUNDING = 2e-6  # of times in files, which have six decimals


class Signed(NamedTuple):
    """Rows, their glosses' ids in order, and where each gloss's rows begin and end.

    `cuts` has one number more than `ids`, ascending from 0 to T: gloss i has the rows `cuts[i]` to
    `cuts[i + 1] - 1`.
    """

    values: Array  # (T, D)
    mask: npt.NDArray[Any]  # (T, M)
    ids: tuple[int, ...]
    cuts: tuple[int, ...]


# where each gloss was signed: sentence and number of the gloss in it
Places = Mapping[int, Sequence[tuple[Signed, int]]]


def cut_places(
    starts: Sequence[float], ends: Sequence[float], times: Sequence[float] | npt.NDArray[np.floating[Any]]
) -> tuple[int, ...]:
    """Return `Signed.cuts` for glosses from `starts[i]` to just before `ends[i]`.

    `times` (T,) are those of the rows, ascending, in the same unit. Glosses are in the order of their starts;
    where two overlap, the cut is in the middle of the overlap. Cuts never go back, so a gloss between two
    that overlap may have no row.
    """
    # a row in the very middle goes with the later gloss, however its time was rounded
    middles = (np.asarray(ends[:-1], np.float64) + np.asarray(starts[1:], np.float64)) / 2
    inner = np.maximum.accumulate(np.searchsorted(times, middles - _ROUNDING))
    return (0, *(int(place) for place in inner), len(times))


def part(signed: Signed, first: int, last: int) -> Signed:
    """Return the glosses `first` to `last - 1` with their rows."""
    start, stop = signed.cuts[first], signed.cuts[last]
    cuts = tuple(cut - start for cut in signed.cuts[first : last + 1])
    return Signed(signed.values[start:stop], signed.mask[start:stop], signed.ids[first:last], cuts)


def join(first: Signed, second: Signed) -> Signed:
    """Return `first` and then `second` as one sentence."""
    return Signed(
        np.concatenate([first.values, second.values]),
        np.concatenate([first.mask, second.mask]),
        first.ids + second.ids,
        first.cuts + tuple(len(first.values) + cut for cut in second.cuts[1:]),
    )


def random_part(signed: Signed, fewest: int, most: int, rng: np.random.Generator) -> Signed:
    """Return successive glosses, `fewest` to `most` of them, any number and any place equally likely.

    A part without rows, of glosses that overlap others wholly, is not taken: the whole sentence is returned.
    """
    count = int(rng.integers(fewest, most + 1))
    first = int(rng.integers(0, len(signed.ids) - count + 1))
    taken = part(signed, first, first + count)
    return taken if len(taken.values) else signed


def places_of(sentences: Sequence[Signed]) -> Places:
    """Return where `sentences` sign each gloss, without places that have no row."""
    places: dict[int, list[tuple[Signed, int]]] = defaultdict(list)
    for signed in sentences:
        for place, gloss in enumerate(signed.ids):
            if signed.cuts[place] < signed.cuts[place + 1]:
                places[gloss].append((signed, place))
    return dict(places)


def swap_glosses(signed: Signed, places: Places, swap_p: float, rng: np.random.Generator) -> Signed:
    """Return the same glosses, each with `swap_p` as it was signed in another place, drawn from `places`.

    A first gloss comes with the rest before it and a last one with the rest after it: a draw that is first
    (or last) in its sentence where the gloss is not, or the other way round, is left out.
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
    lengths = np.cumsum([len(piece.values) for piece in parts])
    return Signed(
        np.concatenate([piece.values for piece in parts]),
        np.concatenate([piece.mask for piece in parts]),
        signed.ids,
        (0, *(int(cut) for cut in lengths)),
    )


def recompose(
    signed: Signed, other: Signed, crop_p: float, join_p: float, rng: np.random.Generator
) -> Signed:
    """Return `signed` as another sentence: shorter with `crop_p`, then with a part of `other` with `join_p`.

    The part of `other`, up to all of it, comes before or after. One gloss alone has no shorter part.
    """
    if rng.random() < crop_p and len(signed.ids) > 1:
        signed = random_part(signed, 1, len(signed.ids) - 1, rng)
    if rng.random() < join_p and other.ids:
        added = random_part(other, 1, len(other.ids), rng)
        signed = join(signed, added) if rng.random() < 0.5 else join(added, signed)
    return signed
