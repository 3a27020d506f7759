"""A small n-gram model of gloss sequences that scores all labels of all beams at once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from signloom.decoding.scorers import Scorer
from signloom.text.vocabulary import BLANK, EOS, PAD, SOS


class GlossNgram(Scorer):
    """Interpolated Witten-Bell bigram or trigram over gloss ids, from the lines of the training split.

    P(v | h) = (c(h v) + N(h) P(v | h')) / (c(h) + N(h)), with N(h) the number of distinct successors of h and
    h' the history without its first label (Witten and Bell 1991, method C, interpolated). The unigram is
    interpolated with a uniform distribution over <unk>, the glosses and the end.
    """

    def __init__(self, lines: Sequence[Sequence[int]], vocabulary: int, order: int) -> None:
        """Count `lines` of gloss ids, without start and end, for `vocabulary` ids."""
        if order not in (2, 3):
            raise ValueError(f"order {order} is not supported; use 2 (bigram) or 3 (trigram)")
        self.order, self.size = order, vocabulary
        counts: list[dict[tuple[int, ...], dict[int, int]]] = [
            defaultdict(lambda: defaultdict(int)) for _ in range(order)
        ]
        for line in lines:
            padded = [SOS] * (order - 1) + list(line) + [EOS]
            for place in range(order - 1, len(padded)):
                for length in range(order):
                    counts[length][tuple(padded[place - length : place])][padded[place]] += 1
        uniform = torch.ones(vocabulary, dtype=torch.float64)
        uniform[[PAD, BLANK, SOS]] = 0
        self.unigram = _interpolate(counts[0].get((), {}), uniform / uniform.sum())
        self.tables = [_Table.of(counts[length], vocabulary) for length in range(1, order)]

    def to(self, device: torch.device) -> Self:
        """Move the tables to `device`."""
        self.unigram = self.unigram.to(device)
        self.tables = [_Table(*(part.to(device) for part in table)) for table in self.tables]
        return self

    def scores(self, prefixes: Tensor) -> Tensor:
        """Return (..., V): log P(v | prefix) after each of the label sequences `prefixes` (..., n)."""
        start = prefixes.new_full((*prefixes.shape[:-1], self.order - 1), SOS)
        recent = torch.cat([start, prefixes], -1)
        p = self.unigram.expand(*recent.shape[:-1], -1)
        key = torch.zeros_like(recent[..., 0])
        for length, table in enumerate(self.tables, 1):
            key = key + recent[..., -length] * self.size ** (length - 1)
            p = table.interpolate(key, p)
        return p.log()


class _Table(NamedTuple):
    """The successors of histories of one length, those of one history after the other.

    Few histories have many successors, so a table with a row of equal length for each would be mostly empty.
    """

    keys: Tensor  # (H,) histories that occur, as ascending numbers
    start: Tensor  # (H,) place of a history's first successor
    kinds: Tensor  # (H,) distinct successors
    successors: Tensor  # (N,)
    counts: Tensor  # (N,) float64

    @classmethod
    def of(cls, counts: dict[tuple[int, ...], dict[int, int]], vocabulary: int) -> Self:
        """Return the table of `counts`; the last label of a history is the last digit of its number."""
        seen = sorted(counts)
        kinds = torch.tensor([len(counts[key]) for key in seen], dtype=torch.long)
        keys = [sum(label * vocabulary**n for n, label in enumerate(reversed(key))) for key in seen]
        return cls(
            torch.tensor(keys, dtype=torch.long),
            kinds.cumsum(0) - kinds,
            kinds,
            torch.tensor([label for key in seen for label in counts[key]], dtype=torch.long),
            torch.tensor([times for key in seen for times in counts[key].values()], dtype=torch.float64),
        )

    def interpolate(self, key: Tensor, lower: Tensor) -> Tensor:
        """Return (..., V) for histories `key` (...), and `lower` (..., V) for those that never occurred."""
        if not len(self.keys):
            return lower
        row = torch.searchsorted(self.keys, key).clamp(max=len(self.keys) - 1)
        known = self.keys[row] == key
        kinds = (self.kinds[row] * known)[..., None]
        place = torch.arange(int(kinds.max()), device=key.device)
        inside = place < kinds
        at = torch.where(inside, self.start[row][..., None] + place, 0)
        counts = self.counts[at] * inside
        upper = (lower * kinds).scatter_add(-1, self.successors[at], counts)
        return torch.where(
            known[..., None], upper / (counts.sum(-1, keepdim=True) + kinds).clamp(min=1), lower
        )


def _interpolate(after: dict[int, int], lower: Tensor) -> Tensor:
    """Return probabilities (V,) from the counts `after` a history and `lower` (V,) of the shorter history."""
    if not after:
        return lower
    p = lower * len(after)
    p[list(after)] += torch.tensor(list(after.values()), dtype=torch.float64)
    return p / (sum(after.values()) + len(after))
