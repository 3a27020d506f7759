"""Beam search: the scores of the formula, ties, early stop, and the answers of a plain search."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.beam_search import plain_beam
from signloom.decoding.attention import attention_beam
from signloom.decoding.beam import length_penalty
from signloom.decoding.scorers import top_candidates
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.text.vocabulary import Symbols

SYMBOLS = Symbols(pad=0, start=1, end=2)


class TableCache(NamedTuple):
    clip: Tensor  # (rows,)
    seen: Tensor  # (rows, steps)


class TableModel:
    """A decoder whose next-token weights are written down: a clip's table maps a prefix to a row of them."""

    def __init__(self, tables: list[dict[tuple[int, ...], list[float]]], default: list[float]) -> None:
        self.tables, self.default = tables, default
        self.rows_read = self.steps = 0

    def start(self, frames: Tensor, valid: Tensor) -> TableCache:
        return TableCache(frames[:, 0, 0].long(), torch.zeros(len(frames), 0, dtype=torch.long))

    def step(self, tokens: Tensor, cache: TableCache) -> tuple[Tensor, TableCache]:
        seen = torch.cat([cache.seen, tokens[:, None]], 1)
        self.rows_read += len(tokens)
        self.steps += 1
        return self.logits(cache.clip.tolist(), seen.tolist()), TableCache(cache.clip, seen)

    def reorder(self, cache: TableCache, index: Tensor, cross: bool = True) -> TableCache:
        if not cross:
            assert torch.equal(cache.clip[index], cache.clip), "a row changed its clip"
        return TableCache(cache.clip[index], cache.seen[index])

    def decode(self, tokens: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        clips = frames[:, 0, 0].long().tolist()
        steps = [self.logits(clips, tokens[:, : n + 1].tolist()) for n in range(tokens.shape[1])]
        return torch.stack(steps, 1)

    def logits(self, clips: list[int], prefixes: list[list[int]]) -> Tensor:
        rows = [self.tables[c].get(tuple(p[1:]), self.default) for c, p in zip(clips, prefixes, strict=True)]
        return torch.tensor(rows).log()


def clips_of(count: int) -> tuple[Tensor, Tensor]:
    return torch.arange(count)[:, None, None].float(), torch.ones(count, 1, dtype=torch.bool)


def random_tables(seed: int, clips: int, vocabulary: int, depth: int, levels: int) -> TableModel:
    """Tables for every prefix; probabilities on few `levels`, so that many scores are equal."""
    generator = torch.Generator().manual_seed(seed)
    tables: list[dict[tuple[int, ...], list[float]]] = []
    for _ in range(clips):
        table = {}
        for n in range(depth):
            for prefix in itertools.product(range(2, vocabulary), repeat=n):
                # powers of two, so that equal products are equal in floating point too
                weights = 0.5 ** torch.randint(1, levels + 1, (vocabulary,), generator=generator).float()
                table[prefix] = weights.tolist()
        tables.append(table)
    return TableModel(tables, [1.0] * vocabulary)


def best_of_all(model: TableModel, clip: int, vocabulary: int, limit: int, alpha: float) -> float:
    """The highest score of any finished sentence of at most `limit` tokens, by looking at every one."""
    scores = []
    for n in range(limit):
        for words in itertools.product(range(3, vocabulary), repeat=n):
            total = 0.0
            for place, token in enumerate([*words, SYMBOLS.end]):
                row = model.tables[clip].get(words[:place], model.default)
                total += math.log(row[token] / sum(row))
            scores.append(total / ((5 + n + 1) / 6) ** alpha)
    return max(scores)


def test_length_penalty_is_that_of_the_paper() -> None:
    assert length_penalty(1, 0.8) == 1.0
    assert length_penalty(7, 1.0) == 2.0
    assert length_penalty(13, 0.5) == pytest.approx(math.sqrt(3))
    assert length_penalty(13, 0.0) == 1.0


def test_a_hand_worked_case_where_greedy_is_wrong_and_beam_search_right() -> None:
    # a first step of .6 leads to .3 at best, one of .4 to certainty: .4 * 1 * 1 beats .6 * .5 * .6
    table = {
        (): [0, 0, 0, 0.6, 0.4],
        (3,): [0, 0, 0.5, 0.25, 0.25],
        (4,): [0, 0, 1, 0, 0],
    }
    model = TableModel([table], [0, 0, 1, 0, 0])
    assert attention_beam(model, *clips_of(1), SYMBOLS, beam=1, max_tokens=6)[0].tokens == [3]
    found = attention_beam(model, *clips_of(1), SYMBOLS, beam=2, alpha=0.8, max_tokens=6)
    assert found[0].tokens == [4]
    assert found[0].score == pytest.approx(math.log(0.4) / (7 / 6) ** 0.8)


def test_the_length_penalty_can_prefer_the_longer_sentence() -> None:
    table = {
        (): [0, 0, 0.25, 0.75, 0],
        (3,): [0, 0, 0, 1, 0],
        (3, 3): [0, 0, 0.3, 0.7, 0],
        (3, 3, 3): [0, 0, 1, 0, 0],
    }
    model = TableModel([table], [0, 0, 1, 0, 0])
    short, long = math.log(0.75 * 0.3), math.log(0.75 * 0.7)
    assert short < long
    assert attention_beam(model, *clips_of(1), SYMBOLS, beam=3, max_tokens=9)[0].tokens == [
        3,
        3,
        3,
    ]
    table[(3, 3)] = [0, 0, 0.52, 0.48, 0]
    assert attention_beam(model, *clips_of(1), SYMBOLS, beam=3, max_tokens=9)[0].tokens == [3, 3]
    longer = attention_beam(model, *clips_of(1), SYMBOLS, beam=3, alpha=2.0, max_tokens=9)[0]
    assert longer.tokens == [3, 3, 3]
    assert longer.score == pytest.approx(math.log(0.75 * 0.48) / (9 / 6) ** 2)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.8, 1.5]))
def test_a_beam_that_holds_everything_finds_the_best_sentence_of_all(seed: int, alpha: float) -> None:
    vocabulary, limit = 5, 4
    model = random_tables(seed, 2, vocabulary, limit, levels=6)
    found = attention_beam(model, *clips_of(2), SYMBOLS, beam=200, alpha=alpha, max_tokens=limit + 1)
    for clip, hypothesis in enumerate(found):
        # padding and start can never be decoded, whatever their probability
        assert not {SYMBOLS.pad, SYMBOLS.start, SYMBOLS.end} & set(hypothesis.tokens)
        best = best_of_all(model, clip, vocabulary, limit, alpha)
        assert hypothesis.score == pytest.approx(best, abs=1e-5)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), beam=st.integers(1, 5), levels=st.integers(1, 4), clips=st.integers(1, 5))
def test_equal_scores_are_broken_as_in_the_plain_search(
    seed: int, beam: int, levels: int, clips: int
) -> None:
    model = random_tables(seed, clips, 6, 4, levels)
    frames, valid = clips_of(clips)
    found = attention_beam(model, frames, valid, SYMBOLS, beam=beam, alpha=0.8, max_tokens=6)
    for clip, hypothesis in enumerate(found):
        plain = plain_beam(model, frames[clip], SYMBOLS, beam, 0.8, 6, stacked=True)  # type: ignore[arg-type]
        assert hypothesis.tokens == plain.tokens
        assert hypothesis.score == pytest.approx(plain.score, abs=1e-5)


def test_where_nothing_ends_the_likeliest_beam_is_cut() -> None:
    model = TableModel([{}], [0, 0, 0, 0.7, 0.3])
    found = attention_beam(model, *clips_of(1), SYMBOLS, beam=2, alpha=0.8, max_tokens=5)
    assert found[0].tokens == [3, 3, 3, 3]
    assert found[0].score == pytest.approx(4 * math.log(0.7) / (9 / 6) ** 0.8)


def test_a_decided_clip_is_read_no_further() -> None:
    certain = {(): [0, 0, 0, 0.98, 0.02], (3,): [0, 0, 1, 0, 0]}
    model = TableModel([certain], [0, 0, 0.1, 0.5, 0.4])
    found = attention_beam(model, *clips_of(1), SYMBOLS, beam=2, alpha=0.8, max_tokens=40)
    assert found[0].tokens == [3]
    assert model.rows_read <= 1 + 2 * 3, "read on although nothing could win any more"


def test_finished_clips_leave_the_batch_and_the_others_are_not_disturbed() -> None:
    certain = {(): [0, 0, 1, 0, 0]}
    slow = {(3,) * n: [0, 0, 0, 1, 0] for n in range(8)}
    order = [certain, slow, certain, certain, slow]
    model = TableModel(order, [0, 0, 1, 0, 0])
    found = attention_beam(model, *clips_of(5), SYMBOLS, beam=2, alpha=0.8, max_tokens=12)
    assert [len(hypothesis.tokens) for hypothesis in found] == [0, 8, 0, 0, 8]
    # five rows at the first step, then two clips of two beams for eight more: together, and no prefix twice
    assert (model.rows_read, model.steps) == (5 + 2 * 2 * 8, 9)


@pytest.fixture(scope="module")
def network() -> Sign2Text:
    torch.manual_seed(0)
    config = Sign2TextConfig(
        vocab_size=50, pad_id=0, bos_id=1, eos_id=2, text_dim=8, width=32, layers=1, heads=4, feedforward=64,
        decoder_layers=2, embedding_dim=16, seq_len=20, max_tokens=12,
    )  # fmt: skip
    model = Sign2Text(config).eval()
    with torch.no_grad():
        model.output.weight.mul_(4.0)
        model.output.bias[SYMBOLS.end] = 2.0
    return model


@settings(max_examples=15)
@given(
    lengths=st.lists(st.sampled_from([1, 3, 7, 20]), min_size=1, max_size=6),
    beam=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_a_network_gives_the_tokens_of_the_plain_search(
    network: Sign2Text, lengths: list[int], beam: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(len(lengths), max(lengths), 32, generator=generator)
    valid = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    found = attention_beam(network, frames, valid, SYMBOLS, beam=beam, alpha=0.8, max_tokens=12)
    with torch.inference_mode():
        for row, length in enumerate(lengths):
            plain = plain_beam(network, frames[row, :length], SYMBOLS, beam, 0.8, 12)
            assert found[row].tokens == plain.tokens
            assert found[row].score == pytest.approx(plain.score, abs=1e-4)


def test_one_beam_takes_the_likeliest_token_of_the_whole_prefix(network: Sign2Text) -> None:
    frames = torch.randn(4, 9, 32, generator=torch.Generator().manual_seed(5))
    valid = torch.arange(9)[None] < torch.tensor([9, 1, 3, 6])[:, None]
    found = attention_beam(network, frames, valid, SYMBOLS, beam=1, max_tokens=12)
    with torch.inference_mode():
        for row, length in enumerate([9, 1, 3, 6]):
            tokens: list[int] = []
            while len(tokens) < 11:
                prefix = torch.tensor([[SYMBOLS.start, *tokens]])
                logits = network.decode(prefix, frames[row : row + 1, :length], valid[row : row + 1, :length])
                logits[0, -1, [SYMBOLS.pad, SYMBOLS.start]] = -torch.inf
                tokens.append(int(logits[0, -1].argmax()))
                if tokens[-1] == SYMBOLS.end:
                    break
            assert found[row].tokens == [token for token in tokens if token != SYMBOLS.end]


@settings(max_examples=60)
@given(
    values=st.lists(
        st.lists(st.sampled_from([0.0, -1.0, -2.0, -math.inf]), min_size=6, max_size=6), min_size=1
    ),
    count=st.integers(1, 6),
)
def test_candidates_are_those_of_a_stable_sort(values: list[list[float]], count: int) -> None:
    scores = torch.tensor(values)
    best, columns = top_candidates(scores, count)
    for row, given_row in enumerate(values):
        order = sorted(range(6), key=lambda column: -given_row[column])[:count]
        assert columns[row].tolist() == order
        assert best[row].tolist() == [given_row[column] for column in order]
