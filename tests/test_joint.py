"""Joint CTC and attention search: against every label sequence, and at both ends of its weight."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import pytest
import torch
from ctc_labellings import EMITTED, SHARPNESS, collapse, labellings, posteriors
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.gloss_decoding import PlainCtcPrefix
from signloom.decoding.attention import attention_beam
from signloom.decoding.beam import Hypothesis
from signloom.decoding.ctc import prefix_beam
from signloom.decoding.joint import CtcScorer, Reader, joint_beam
from signloom.decoding.language_model import GlossNgram
from signloom.text.vocabulary import BLANK, EOS, PAD, SOS, SYMBOLS, UNK

LABELS = (UNK, 5, 6)
V = 7


class RandomCache(NamedTuple):
    clip: Tensor  # (rows,)
    seen: Tensor  # (rows, steps)


class RandomModel:
    """A decoder whose logits are random but fixed for every clip and prefix."""

    def __init__(self, vocabulary: int, sharpness: float, seed: int, never: Sequence[int] = ()) -> None:
        self.never, self.ending = list(never), 0.0
        self.sharpness, self.seed, self.vocabulary = sharpness, seed, vocabulary

    def start(self, frames: Tensor, valid: Tensor) -> RandomCache:
        return RandomCache(frames[:, 0, 0].long(), torch.zeros(len(frames), 0, dtype=torch.long))

    def step(self, tokens: Tensor, cache: RandomCache) -> tuple[Tensor, RandomCache]:
        seen = torch.cat([cache.seen, tokens[:, None]], 1)
        rows = zip(cache.clip.tolist(), seen.tolist(), strict=True)
        logits = torch.stack([self.logits(clip, prefix[1:]) for clip, prefix in rows])
        return logits, RandomCache(cache.clip, seen)

    def reorder(self, cache: RandomCache, index: Tensor, cross: bool = True) -> RandomCache:
        if not cross:
            assert torch.equal(cache.clip[index], cache.clip), "a row changed its clip"
        return RandomCache(cache.clip[index], cache.seen[index])

    def logits(self, clip: int, prefix: Sequence[int]) -> Tensor:
        number = clip + 1
        for token in prefix:
            number = number * 31 + token
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        logits = self.sharpness * torch.randn(self.vocabulary, generator=generator, dtype=torch.float64)
        logits[self.never] = -torch.inf
        logits[EOS] += self.ending
        return logits

    def log_p(self, clip: int, tokens: Sequence[int]) -> float:
        """The log-probability of `tokens` and the end after them."""
        line = [*tokens, EOS]
        steps = (self.logits(clip, line[:n]).log_softmax(0)[token] for n, token in enumerate(line))
        return float(sum(steps))


class SilentModel(RandomModel):
    """A random model that at first hardly expects anything but the end."""

    def logits(self, clip: int, prefix: Sequence[int]) -> Tensor:
        logits = super().logits(clip, prefix)
        logits[EOS] += 0 if prefix else 20
        return logits


def clips_of(lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    frames = torch.arange(len(lengths)).double()[:, None, None].expand(-1, max(lengths), 1)
    return frames, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def exhaustive(model: RandomModel, log_p: Tensor, clip: int, weight: float, longest: int) -> Hypothesis:
    """The best of all label sequences up to `longest`, CTC summed over all alignments."""
    ctc = labellings(log_p)
    best = Hypothesis([], -math.inf)
    for length in range(longest + 1):
        for tokens in itertools.product(LABELS, repeat=length):
            if weight > 0 and not ctc.get(tokens):
                continue  # more labels than frames
            score = (1 - weight) * model.log_p(clip, tokens)
            score += weight * math.log(ctc[tokens]) if weight else 0.0
            if score > best.score:
                best = Hypothesis(list(tokens), score)
    return best


@pytest.mark.parametrize("sharpness", SHARPNESS.values(), ids=SHARPNESS)
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 1.0])
def test_a_wide_joint_beam_finds_the_best_of_all_sequences(weight: float, sharpness: float) -> None:
    lengths = [1, 3, 4, 5]
    model = RandomModel(V, sharpness, seed=5)
    log_p = posteriors(len(lengths), 5, V, sharpness, seed=2)
    found = joint_beam([Reader(model, *clips_of(lengths), log_p)], beam=60, ctc_weight=weight, max_tokens=5)
    for clip, length in enumerate(lengths):
        want = exhaustive(model, log_p[clip, :length], clip, weight, longest=3)
        assert found[clip].tokens == want.tokens
        assert found[clip].score == pytest.approx(want.score, abs=1e-9)


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_several_networks_are_read_by_the_mean_of_their_scores(weight: float) -> None:
    lengths = [1, 3, 4]
    models = [RandomModel(V, 1.0, seed=seed) for seed in (5, 6, 7)]
    heads = [posteriors(len(lengths), 4, V, 1.0, seed=seed) for seed in (2, 3, 4)]
    readers = [Reader(model, *clips_of(lengths), log_p) for model, log_p in zip(models, heads, strict=True)]
    if weight == 1.0:
        readers = [reader._replace(model=None) for reader in readers]
    found = joint_beam(readers, beam=60, ctc_weight=weight, max_tokens=5)
    for clip, length in enumerate(lengths):
        ctc = [labellings(log_p[clip, :length]) for log_p in heads]
        best = Hypothesis([], -math.inf)
        for size in range(4):
            for line in itertools.product(LABELS, repeat=size):
                # with weight 1 only what CTC can give has a score
                if weight and any(line not in by_line for by_line in ctc):
                    continue
                score = sum(
                    weight * math.log(by_line[line]) + (1 - weight) * model.log_p(clip, line)
                    for by_line, model in zip(ctc, models, strict=True)
                )
                if score / 3 > best.score:
                    best = Hypothesis(list(line), score / 3)
        assert found[clip].tokens == best.tokens
        assert found[clip].score == pytest.approx(best.score, abs=1e-9)


def prefix_scores(log_p: Tensor, valid: Tensor, line: Sequence[int]) -> list[Tensor]:
    """Return (A, V) after each part of `line`: log P_ctc(part + v ...), and at the end log P_ctc(part)."""
    scorer = CtcScorer(log_p, valid)
    clips = torch.arange(len(log_p))
    so_far = torch.zeros(len(log_p), 1)
    found = []
    for n in range(len(line) + 1):
        prefix = torch.tensor([SOS, *line[:n]]).expand(len(log_p), 1, -1)
        found.append(so_far + scorer.scores(prefix)[:, 0])
        scorer.reorder(clips, torch.zeros_like(clips)[:, None])
        so_far = found[n][:, line[n : n + 1]]
    return found


@pytest.mark.parametrize("sharpness", SHARPNESS.values(), ids=SHARPNESS)
def test_prefix_scores_are_sums_over_all_labellings_that_begin_so(sharpness: float) -> None:
    log_p = posteriors(1, 5, V, sharpness, seed=9)
    log_p[:, :, [PAD, SOS, EOS]] = -torch.inf
    log_p = log_p.log_softmax(2)
    everything = labellings(log_p[0])
    line = (5, 5, UNK)
    for n, [scores] in enumerate(prefix_scores(log_p, torch.ones(1, 5, dtype=torch.bool), line)):
        tokens = line[:n]
        assert float(scores[EOS]) == pytest.approx(math.log(everything[tokens]), abs=1e-9)
        for label in LABELS:
            begin = (*tokens, label)
            want = sum(p for line, p in everything.items() if line[: len(begin)] == begin)
            got = float(scores[label])
            assert got == pytest.approx(math.log(want), abs=1e-9) if want else got == -math.inf


@pytest.mark.parametrize("sharpness", [0.1, 3.0, 40.0])
def test_prefix_scores_of_long_clips_are_those_of_the_plain_recursion(sharpness: float) -> None:
    lengths = [150, 37, 1, 90]
    log_p = posteriors(4, 150, 11, sharpness, seed=4).float()
    _, valid = clips_of(lengths)
    line = (5, 6, 6, 10, 1, 5, 5, 5)
    *scores, ended = prefix_scores(log_p, valid, line)
    plain = [PlainCtcPrefix(log_p[clip, :length]) for clip, length in enumerate(lengths)]
    states = [one.start() for one in plain]
    for n, (token, got) in enumerate(zip(line, scores, strict=True)):
        for clip, one in enumerate(plain):
            for label in (1, 5, 6, 10):
                want, state = one.extend(line[:n], label, states[clip])
                if label == token:
                    new = state
                if want > -600:
                    assert float(got[clip, label]) == pytest.approx(want, abs=1e-7)
                else:
                    assert float(got[clip, label]) < -600
            states[clip] = new
    assert torch.isfinite(ended[0, EOS])


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_weight_zero_is_the_attention_beam_search(beam: int) -> None:
    lengths = [9, 4, 1, 9, 2, 7]
    model = RandomModel(12, 2.0, seed=beam, never=(BLANK,))
    model.ending = 1.5  # so that no search is cut: the joint one ends what the other cuts
    frames, valid = clips_of(lengths)
    log_p = torch.full((6, 9, 12), float("nan"))  # not looked at
    got = joint_beam([Reader(model, frames, valid, log_p)], beam=beam, ctc_weight=0.0, max_tokens=60)
    want = attention_beam(model, frames, valid, SYMBOLS, beam=beam, alpha=0.0, max_tokens=60)
    assert [found.tokens for found in got] == [found.tokens for found in want]
    assert [found.score for found in got] == pytest.approx([found.score for found in want], abs=1e-5)


@pytest.mark.parametrize("sharpness", SHARPNESS.values(), ids=SHARPNESS)
def test_weight_one_is_the_best_ctc_labelling(sharpness: float) -> None:
    lengths = [5, 2, 4]
    log_p = posteriors(3, 5, V, sharpness, seed=8)
    model = RandomModel(V, 3.0, seed=0)
    got = joint_beam([Reader(model, *clips_of(lengths), log_p)], beam=300, ctc_weight=1.0, max_tokens=20)
    want = prefix_beam(log_p, torch.tensor(lengths), beam=400)
    assert [found.tokens for found in got] == [found.tokens for found in want]
    assert [found.score for found in got] == pytest.approx([found.score for found in want], abs=1e-9)


def test_no_answer_has_more_labels_than_ctc_can_align() -> None:
    lengths = [1, 2, 3]
    model = RandomModel(V, 0.1, seed=1)
    log_p = posteriors(3, 3, V, 0.1)
    found = joint_beam(
        [Reader(model, *clips_of(lengths), log_p)], beam=4, ctc_weight=0.1, max_tokens=12, length_bonus=20.0
    )
    for length, hypothesis in zip(lengths, found, strict=True):
        repeats = sum(a == b for a, b in itertools.pairwise(hypothesis.tokens))
        assert len(hypothesis.tokens) + repeats == length, "the bonus asks for as many as there is room for"
        assert math.isfinite(hypothesis.score)


@pytest.mark.parametrize(("kind", "bonus"), [(RandomModel, 1.5), (SilentModel, 5.0)])
def test_a_length_bonus_counts_every_label_and_not_the_end(kind: type[RandomModel], bonus: float) -> None:
    lengths = [5, 4]
    model = kind(V, 1.0, seed=6)
    log_p = posteriors(2, 5, V, 1.0, seed=6)
    found = joint_beam(
        [Reader(model, *clips_of(lengths), log_p)], beam=60, ctc_weight=0.4, max_tokens=5, length_bonus=bonus
    )
    for clip, length in enumerate(lengths):
        ctc = labellings(log_p[clip, :length])
        scored = {
            tokens: 0.4 * math.log(ctc[tokens]) + 0.6 * model.log_p(clip, tokens) + bonus * len(tokens)
            for n in range(4)
            for tokens in itertools.product(LABELS, repeat=n)
            if tokens in ctc
        }
        best = max(scored, key=lambda tokens: scored[tokens])
        assert tuple(found[clip].tokens) == best
        assert found[clip].score == pytest.approx(scored[best], abs=1e-9)


@pytest.mark.parametrize("order", [2, 3])
def test_the_language_model_is_added_with_its_weight(order: int) -> None:
    lengths = [4, 5, 3]
    model = RandomModel(V, 1.0, seed=3)
    log_p = posteriors(3, 5, V, 1.0, seed=3)
    lm = GlossNgram([[5, 6], [5, 6, 5], [6]], V, order)
    found = joint_beam(
        [Reader(model, *clips_of(lengths), log_p)],
        beam=60,
        ctc_weight=0.3,
        max_tokens=5,
        lm=lm,
        lm_weight=0.8,
    )
    for clip, length in enumerate(lengths):
        ctc = labellings(log_p[clip, :length])
        scored = {}
        for n in range(4):
            for tokens in itertools.product(LABELS, repeat=n):
                if tokens in ctc:
                    line = [*tokens, EOS]
                    history = (lm.scores(torch.tensor(line[:k], dtype=torch.long)) for k in range(n + 1))
                    prior = sum(float(row[token]) for row, token in zip(history, line, strict=True))
                    acoustic = 0.3 * math.log(ctc[tokens]) + 0.7 * model.log_p(clip, tokens)
                    scored[tokens] = acoustic + 0.8 * prior
        best = max(scored, key=lambda tokens: scored[tokens])
        assert tuple(found[clip].tokens) == best
        assert found[clip].score == pytest.approx(scored[best], abs=1e-9)


@settings(max_examples=25)
@given(
    lengths=st.lists(st.sampled_from([1, 2, 3, 9]), min_size=1, max_size=5),
    beam=st.integers(1, 4),
    weight=st.sampled_from([0.0, 0.4, 1.0]),
    seed=st.integers(0, 1000),
)
def test_a_batch_answers_as_its_clips_alone_do(
    lengths: list[int], beam: int, weight: float, seed: int
) -> None:
    model = RandomModel(V, 2.0, seed)
    log_p = posteriors(len(lengths), max(lengths), V, 2.0, seed)
    frames, valid = clips_of(lengths)
    together = joint_beam([Reader(model, frames, valid, log_p)], beam=beam, ctc_weight=weight, max_tokens=6)
    for clip, length in enumerate(lengths):
        part = slice(clip, clip + 1)
        [alone] = joint_beam(
            [Reader(model, frames[part, :length], valid[part, :length], log_p[part, :length])],
            beam=beam, ctc_weight=weight, max_tokens=6,
        )  # fmt: skip
        assert alone.tokens == together[clip].tokens
        assert alone.score == pytest.approx(together[clip].score, abs=1e-9)
        assert not set(alone.tokens) & {PAD, BLANK, SOS, EOS}


def test_the_last_token_is_an_end_however_much_a_bonus_speaks_against_it() -> None:
    log_p = torch.full((1, 6, V), -9.0, dtype=torch.float64)
    log_p[0, range(6), [5, 6, 5, 6, 5, 6]] = -1e-4
    model = RandomModel(V, 0.0, seed=0)
    for bonus in (0.0, 50.0):
        [found] = joint_beam(
            [Reader(model, *clips_of([6]), log_p)], beam=1, ctc_weight=1.0, max_tokens=4, length_bonus=bonus
        )
        assert found.tokens == [5, 6]
        assert found.score == pytest.approx(math.log(labellings(log_p[0])[5, 6]) + 2 * bonus)


def witten_bell(lines: list[list[int]], history: tuple[int, ...], label: int, order: int) -> float:
    """The formula, by recursion."""
    if order == 0:
        return 1 / (V - 3)
    grams = [
        (tuple(padded[place - order + 1 : place]), padded[place])
        for line in lines
        for padded in [[SOS] * (order - 1) + line + [EOS]]
        for place in range(order - 1, len(padded))
    ]
    after = [token for before, token in grams if before == history]
    lower = witten_bell(lines, history[1:], label, order - 1)
    kinds = len(set(after))
    return (after.count(label) + kinds * lower) / (len(after) + kinds) if after else lower


@pytest.mark.parametrize("order", [2, 3])
def test_the_language_model_is_interpolated_witten_bell(order: int) -> None:
    lines = [[5, 6, 5], [5, 6], [6, 6, 6], [], [5]]
    lm = GlossNgram(lines, V, order)
    for n in range(4):
        for tokens in itertools.product(LABELS, repeat=n):
            got = lm.scores(torch.tensor([tokens], dtype=torch.long)).exp()[0]
            history = ((SOS,) * (order - 1) + tokens)[-(order - 1) :]
            for label in (*LABELS, EOS):
                assert float(got[label]) == pytest.approx(witten_bell(lines, history, label, order))
            assert float(got.sum()) == pytest.approx(1)
            assert got[[PAD, BLANK, SOS]].tolist() == [0, 0, 0]


def test_a_language_model_of_many_glosses_is_no_larger_than_its_lines() -> None:
    labels = range(5, 3005)
    lm = GlossNgram([[label, 3009 - label, 5 + label % 7] for label in labels], 3005, 3)
    parts = [lm.unigram, *(part for table in lm.tables for part in table)]
    assert sum(part.numel() * part.element_size() for part in parts) < 1e6
    got = lm.scores(torch.tensor([[7, 3002], [8, 8]])).exp()
    assert got.sum(1).tolist() == pytest.approx([1, 1])
    assert got[0].argmax() == 5, "the only label that follows 7 and 3002"


def test_a_language_model_of_no_line_is_uniform() -> None:
    for order in (2, 3):
        got = GlossNgram([], V, order).scores(torch.zeros(2, 0, dtype=torch.long)).exp()
        assert got[:, [UNK, EOS, 5, 6]].tolist() == [[0.25] * 4] * 2


def test_every_alignment_is_counted_in_the_reference() -> None:
    log_p = posteriors(1, 3, V, 1.0)
    allowed = log_p[0].exp()[:, list(EMITTED)].sum(1).prod()
    assert sum(labellings(log_p[0]).values()) == pytest.approx(float(allowed))
    assert collapse((5, 5, BLANK, 5, 6, BLANK)) == (5, 5, 6)
