"""A small n-gram model of gloss sequences that scores all labels of all beams at once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Self

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
        unigram = _interpolate(counts[0].get((), {}), uniform / uniform.sum())
        self.bigram = unigram.expand(vocabulary, -1).clone()
        for (label,), after in counts[1].items():
            self.bigram[label] = _interpolate(after, unigram)
        # trigram histories that occur, as sorted numbers, and a padded table of their successors
        seen = sorted(counts[2]) if order == 3 else []
        self.histories = torch.tensor([a * vocabulary + b for a, b in seen], dtype=torch.long)
        longest = max((len(counts[2][key]) for key in seen), default=1)
        self.successors = torch.full((len(seen), longest), PAD)
        self.counts = torch.zeros(len(seen), longest, dtype=torch.float64)
        for row, key in enumerate(seen):
            after = counts[2][key]
            self.successors[row, : len(after)] = torch.tensor(list(after))
            self.counts[row, : len(after)] = torch.tensor(list(after.values()), dtype=torch.float64)

    def to(self, device: torch.device) -> Self:
        """Move the tables to `device`."""
        for name in ("bigram", "histories", "successors", "counts"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def scores(self, prefixes: Tensor) -> Tensor:
        """Return (..., V): log P(v | prefix) after each of the label sequences `prefixes` (..., n)."""
        start = prefixes.new_full((*prefixes.shape[:-1], self.order - 1), SOS)
        recent = torch.cat([start, prefixes], -1)[..., -(self.order - 1) :]
        p = self.bigram[recent[..., -1]]
        if len(self.histories):
            p = self._trigram(recent[..., 0] * self.size + recent[..., 1], p)
        return p.log()

    def _trigram(self, key: Tensor, lower: Tensor) -> Tensor:
        """Return (..., V) for histories `key` (...), and `lower` (..., V) for those that never occurred."""
        row = torch.searchsorted(self.histories, key).clamp(max=len(self.histories) - 1)
        known = (self.histories[row] == key)[..., None]
        counts = self.counts[row] * known
        kinds = (counts > 0).sum(-1, keepdim=True)
        upper = (lower * kinds).scatter_add(-1, self.successors[row], counts)
        return torch.where(known, upper / (counts.sum(-1, keepdim=True) + kinds).clamp(min=1), lower)


def _interpolate(after: dict[int, int], lower: Tensor) -> Tensor:
    """Return probabilities (V,) from the counts `after` a history and `lower` (V,) of the shorter history."""
    if not after:
        return lower
    p = lower * len(after)
    p[list(after)] += torch.tensor(list(after.values()), dtype=torch.float64)
    return p / (sum(after.values()) + len(after))
