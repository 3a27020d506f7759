"""Random posteriors of CTC, and the probability of all that they can say, alignment by alignment."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from signloom.text.vocabulary import BLANK, UNK

EMITTED = (UNK, BLANK, 5, 6)  # with the blank, all that a vocabulary of 7 can say
SHARPNESS = {"flat": 0.2, "plain": 1.5, "peaked": 8.0}


def posteriors(clips: int, frames: int, vocabulary: int, sharpness: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(clips, frames, vocabulary, generator=generator, dtype=torch.float64)
    return logits.log_softmax(2)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != BLANK)


def labellings(log_p: Tensor) -> dict[tuple[int, ...], float]:
    """The probability of every labelling of one clip (T, V): the sum over its alignments."""
    total: dict[tuple[int, ...], float] = {}
    rows = log_p.exp().tolist()
    for path in itertools.product(EMITTED, repeat=len(rows)):
        p = math.prod(row[label] for row, label in zip(rows, path, strict=True))
        total[collapse(path)] = total.get(collapse(path), 0.0) + p
    return total
