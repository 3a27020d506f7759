"""Losses against plain loops and against torch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from signloom.text.vocabulary import PAD, UNK
from signloom.training.optimiser import Optimiser, learning_rate
from signloom.training.sentences.glosses import gloss_loss
from signloom.training.sentences.losses import (
    class_loss,
    contrastive_loss,
    supervised_contrastive_loss,
    token_loss,
)
from tests.ctc_labellings import EMITTED, SHARPNESS, labellings, posteriors

LABELS = st.lists(st.integers(0, 3), min_size=1, max_size=7)


def unit_rows(rows: int, seed: int) -> torch.Tensor:
    draws = torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(draws, dim=-1)


def slow_one_way(queries: torch.Tensor, keys: torch.Tensor, labels: list[int], t: float) -> float:
    total = 0.0
    for i, query in enumerate(queries):
        scores = [float(query @ key) / t for key in keys]
        log_sum = math.log(sum(math.exp(s) for s in scores))
        positives = [scores[j] - log_sum for j in range(len(keys)) if labels[j] == labels[i]]
        total -= sum(positives) / len(positives)
    return total / len(queries)


@given(LABELS)
def test_contrastive_loss_takes_every_pair_of_one_sentence_as_positive(labels: list[int]) -> None:
    clips, texts = unit_rows(len(labels), 1), unit_rows(len(labels), 2)
    slow = (slow_one_way(clips, texts, labels, 0.05) + slow_one_way(texts, clips, labels, 0.05)) / 2
    loss = contrastive_loss(clips, texts, torch.tensor(labels), 0.05)
    assert float(loss) == pytest.approx(slow, rel=1e-4, abs=1e-5)


def test_two_clips_of_one_sentence_are_not_pushed_apart() -> None:
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss = contrastive_loss(one, one, torch.tensor([7, 7]), 0.05)
    other = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert float(loss) < float(contrastive_loss(other, other, torch.tensor([7, 7]), 0.05))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_loss_tells_every_clip_from_all_texts_and_not_only_from_those_of_its_batch(
    smoothing: float,
) -> None:
    clips, texts, own = unit_rows(2, 1), unit_rows(4, 2), [3, 3]
    total = 0.0
    for clip, right in zip(clips, own, strict=True):
        scores = [float(clip @ text) / 0.1 for text in texts]
        log_sum = math.log(sum(math.exp(score) for score in scores))
        wanted = [smoothing / 4 + (1 - smoothing) * (place == right) for place in range(4)]
        total -= sum(share * (score - log_sum) for share, score in zip(wanted, scores, strict=True))
    loss = class_loss(clips, texts, torch.tensor(own), smoothing)
    assert float(loss) == pytest.approx(total / 2, rel=1e-5)


@given(LABELS)
def test_supervised_contrastive_loss_agrees_with_a_plain_loop(labels: list[int]) -> None:
    rows, t = unit_rows(len(labels), 3), 0.07
    losses = []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if j != i]
        positives = [j for j in others if labels[j] == labels[i]]
        if positives:
            below = sum(math.exp(float(rows[i] @ rows[j]) / t) for j in others)
            terms = [math.log(math.exp(float(rows[i] @ rows[j]) / t) / below) for j in positives]
            losses.append(-sum(terms) / len(terms))
    slow = sum(losses) / len(losses) if losses else 0.0
    loss = supervised_contrastive_loss(rows, torch.tensor(labels), t)
    assert float(loss) == pytest.approx(slow, rel=1e-4, abs=1e-5)


def test_supervised_contrastive_loss_has_finite_gradients_where_no_row_has_a_positive() -> None:
    rows = unit_rows(3, 4).float().requires_grad_()
    supervised_contrastive_loss(rows, torch.tensor([0, 1, 2]), 0.07).backward()
    assert torch.equal(rows.grad, torch.zeros_like(rows))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_token_loss_is_label_smoothed_cross_entropy(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(6, 4, generator=generator)
    targets = torch.randint(0, 4, (6,), generator=generator)
    slow = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(value) for value in row))
        aims = [smoothing / 4 + (1 - smoothing) * (k == target) for k in range(4)]
        slow -= sum(aim * (value - log_sum) for aim, value in zip(aims, row, strict=True)) / 6
    assert float(token_loss(logits, targets, smoothing)) == pytest.approx(slow, rel=1e-5)


def test_learning_rate_agrees_with_torch_after_a_linear_rise() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    reference = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimiser, T_0=8)
    for step in range(4, 20):
        assert learning_rate(step, 20, 0.1, warmup=4, restarts=1) == pytest.approx(reference.get_last_lr()[0])
        optimiser.step()
        reference.step()
    assert [learning_rate(step, 20, 0.1, warmup=4) for step in range(4)] == pytest.approx(
        [0.02, 0.04, 0.06, 0.08]
    )


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 3))
def test_learning_rate_stays_between_zero_and_its_base(steps: int, warmup: int, restarts: int) -> None:
    rates = [learning_rate(step, steps, 0.5, warmup, restarts) for step in range(steps)]
    assert all(0 < rate <= 0.5 for rate in rates)


def line(*labels: int) -> list[int]:
    return [*labels, *[PAD] * (3 - len(labels))]


@pytest.mark.parametrize("sharpness", SHARPNESS.values(), ids=SHARPNESS)
def test_gloss_loss_is_that_of_all_alignments_and_leaves_out_what_cannot_be_aligned(sharpness: float) -> None:
    lines = [(5,), (5, 5), (6, UNK), (), (5, 6, 5), (5, 5)]
    lengths = [1, 3, 4, 3, 2, 2]  # the last two have too few frames
    log_p = posteriors(len(lines), 4, 7, sharpness)
    total, clips = gloss_loss(log_p, torch.tensor(lengths), torch.tensor([line(*labels) for labels in lines]))
    slow = 0.0
    for row, labels in enumerate(lines[:3]):
        slow -= math.log(labellings_of(log_p[row, : lengths[row]])[labels]) / len(labels)
    assert float(total) == pytest.approx(slow, rel=1e-6) and int(clips) == 3


def labellings_of(log_p: torch.Tensor) -> dict[tuple[int, ...], float]:
    """The probability of each labelling if only what CTC can emit has any."""
    kept = torch.full_like(log_p, -torch.inf)
    kept[:, EMITTED] = log_p[:, EMITTED]
    return labellings(kept)


def test_gloss_loss_without_glosses_is_zero_and_has_no_gradient() -> None:
    log_p = posteriors(2, 3, 7, 1.0).requires_grad_()
    for lines in (torch.zeros(2, 0, dtype=torch.long), torch.full((2, 3), PAD)):
        total, clips = gloss_loss(log_p, torch.tensor([3, 1]), lines)
        assert float(total) == 0 and int(clips) == 0 and not total.requires_grad


@pytest.mark.parametrize(("scale", "norm"), [(1e6, 0.5), (1e-3, 1e-3)])
def test_large_gradients_are_clipped_before_a_step_and_small_ones_are_not(scale: float, norm: float) -> None:
    layer = torch.nn.Linear(4, 1, bias=False)
    optimiser, norms = Optimiser(layer, 0.1, 0.0, "fp32", 0.5), []
    optimiser.adamw.register_step_pre_hook(lambda *_: norms.append(float(layer.weight.grad.norm())))
    optimiser.add(scale * layer(torch.eye(4)[:1]).sum())
    optimiser.step(0.1)
    assert norms == pytest.approx([norm], rel=1e-4)
