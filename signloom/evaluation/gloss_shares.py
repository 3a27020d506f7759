"""Times of glosses without looking at a clip: equal shares of it, and shares by the mean lengths of glosses.

They are the rivals of the alignment, and need only the glosses and the length of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from signloom.metrics.bootstrap import Floats

ALIGNED, EQUAL, BY_LENGTH = "aligned", "equal_shares", "mean_lengths"


class Signed(NamedTuple):
    """A clip with glosses: how long it lasts, and their true times (L, 2) in seconds, (0, 2) if unknown."""

    clip_id: str
    glosses: tuple[str, ...]
    truth: Floats
    length_s: float


class MeanLengths:
    """Mean lengths in seconds of the glosses of clips with known times, and of what is around them."""

    def __init__(self, clips: Sequence[Signed]) -> None:
        """Average over `clips`, of which at least one has times."""
        timed = [clip for clip in clips if len(clip.truth)]
        lengths: dict[str, list[float]] = {}
        for clip in timed:
            for gloss, (start, end) in zip(clip.glosses, clip.truth, strict=True):
                lengths.setdefault(gloss, []).append(end - start)
        self._of = {gloss: float(np.mean(known)) for gloss, known in lengths.items()}
        self._all = float(np.mean([length for known in lengths.values() for length in known]))
        pauses = [max(b[0] - a[1], 0.0) for clip in timed for a, b in pairwise(clip.truth)]
        self._pause = float(np.mean(pauses)) if pauses else 0.0
        self._before = float(np.mean([clip.truth[0, 0] for clip in timed]))
        self._after = float(np.mean([max(clip.length_s - clip.truth[-1, 1], 0.0) for clip in timed]))

    def share(self, clip: Signed) -> Floats:
        """Return times (L, 2) in proportion to the mean lengths, with pauses; new glosses have the mean."""
        parts = [self._before]
        for gloss in clip.glosses:
            parts += [self._of.get(gloss, self._all), self._pause]
        parts[-1] = self._after
        ends = np.cumsum(parts) / sum(parts) * clip.length_s
        return np.stack([ends[:-1:2], ends[1::2]], 1)


def equal_shares(clip: Signed) -> Floats:
    """Return times (L, 2) that divide the clip into equal parts."""
    ends = np.linspace(0.0, clip.length_s, len(clip.glosses) + 1)
    return np.stack([ends[:-1], ends[1:]], 1)


def signed_clips(table: pd.DataFrame) -> dict[str, Signed]:
    """Return the clips of the table of stage align, by id."""
    glosses = table["gloss"].to_numpy(dtype=object)
    truth = table[["true_start_s", "true_end_s"]].to_numpy(np.float64)
    lengths = table["length_s"].to_numpy(np.float64)
    found = {}
    # arrays, because a table for each clip takes a thousand times as long
    for clip, rows in sorted(table.groupby("clip_id").indices.items()):
        known = truth[rows][~np.isnan(truth[rows]).any(1)]
        found[str(clip)] = Signed(str(clip), tuple(glosses[rows]), known, float(lengths[rows[0]]))
    return found
