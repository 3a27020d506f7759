"""Beam search in NumPy finds what the one in PyTorch finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.decoding.attention import attention_beam
from signloom.inference.beam import beam_search
from signloom.inference.gates import highest
from signloom.text.vocabulary import Symbols

SYMBOLS = Symbols(pad=0, start=1, end=2)


class Grammar:
    """Next-token weights drawn anew for every prefix, on few levels, so that many scores are equal."""

    def __init__(self, seed: int, vocabulary: int, levels: int, end: float) -> None:
        self.seed, self.vocabulary, self.levels, self.end = seed, vocabulary, levels, end
        self.calls = 0

    def row(self, prefix: list[int]) -> np.ndarray:
        rng = np.random.default_rng([self.seed, *prefix])
        logits = -np.log(2) * rng.integers(0, self.levels, self.vocabulary)
        logits[SYMBOLS.end] += self.end
        return logits.astype(np.float32)

    # for NumPy
    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        self.calls += 1
        rows = torch.from_numpy(np.stack([self.row(prefix) for prefix in tokens.tolist()]))
        return rows.log_softmax(-1).numpy()

    # for PyTorch: the cache is the prefixes
    def start(self, frames: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(frames), 0, dtype=torch.long)

    def step(self, tokens: torch.Tensor, cache: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = torch.cat([cache, tokens[:, None]], 1)
        return torch.from_numpy(np.stack([self.row(prefix) for prefix in seen.tolist()])), seen

    def reorder(self, cache: torch.Tensor, index: torch.Tensor, cross: bool = True) -> torch.Tensor:
        return cache[index]


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10_000),
    vocabulary=st.integers(4, 9),
    levels=st.integers(1, 8),
    end=st.sampled_from([-20.0, -2.0, 0.0, 2.0]),
    beam=st.integers(1, 6),
    alpha=st.sampled_from([0.0, 0.8, 2.0]),
    max_tokens=st.sampled_from([1, 2, 3, 9]),
)
def test_tokens_and_scores_are_those_of_the_search_in_pytorch(
    seed: int, vocabulary: int, levels: int, end: float, beam: int, alpha: float, max_tokens: int
) -> None:
    grammar = Grammar(seed, vocabulary, levels, end)
    one_clip = torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool)
    how = {"beam": beam, "alpha": alpha, "max_tokens": max_tokens}
    expected = attention_beam(grammar, *one_clip, SYMBOLS, **how)[0]
    found = beam_search(grammar, SYMBOLS, **how)
    assert found.tokens == expected.tokens
    assert found.score == pytest.approx(expected.score, abs=1e-6)


def test_it_stops_as_soon_as_nothing_can_win() -> None:
    grammar = Grammar(0, 6, 3, end=30.0)
    assert beam_search(grammar, SYMBOLS, beam=2, alpha=0.8, max_tokens=50).tokens == []
    assert grammar.calls == 1


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.integers(1, 14))
def test_the_highest_come_first_and_equals_by_place(scores: list[int], count: int) -> None:
    expected = sorted(range(len(scores)), key=lambda place: -scores[place])[:count]
    assert highest(np.array(scores, np.float32), count).tolist() == expected
    some = np.array(scores, np.float32)
    some[::2] = -np.inf
    plain = sorted(range(len(some)), key=lambda place: -some[place])[:count]
    assert highest(some, count).tolist() == plain
