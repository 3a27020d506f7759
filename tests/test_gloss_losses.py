"""The gloss losses against plain computations: weights, padding, what cannot be aligned or said."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from demo_params import section
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.models.gloss import GlossConfig, Hybrid, build
from signloom.params.gloss import TcnParams
from signloom.text.vocabulary import BLANK, EOS, SOS, UNK
from signloom.training.ctc import rows_needed
from signloom.training.glosses.data import collate
from signloom.training.glosses.losses import Loss, ctc_sum, token_sum
from tests.synthetic_gloss import clip, sample


@settings(max_examples=60)
@given(st.lists(st.integers(5, 7), min_size=1, max_size=5), st.integers(1, 9))
def test_ctc_can_align_a_line_exactly_where_its_loss_is_finite(ids: list[int], frames: int) -> None:
    log_probs = torch.randn(1, frames, 8, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    loss, _ = ctc_sum(log_probs, collate([sample(frames, clip("a", *ids))]))
    assert bool(torch.isfinite(loss)) == (frames >= rows_needed(tuple(ids)))


def ctc_by_enumeration(probs: np.ndarray, labels: tuple[int, ...]) -> float:
    """Return minus the log of the summed probability of all paths that say `labels`."""
    total = 0.0
    for path in itertools.product(range(probs.shape[1]), repeat=len(probs)):
        said = tuple(label for label, _ in itertools.groupby(path) if label != BLANK)
        if said == labels:
            total += float(np.prod([probs[t, label] for t, label in enumerate(path)]))
    return -math.log(total)


def test_ctc_is_the_weighted_mean_over_clips_each_divided_by_its_glosses() -> None:
    model = build(GlossConfig("tcn_ctc", input_dim=2, vocab_size=8, width=8, layers=1)).eval()
    probs = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    log_probs = probs.index_fill(-1, model.ctc.never, -torch.inf).log_softmax(-1)
    mixed = sample(3, clip("a", 5, UNK), clip("b", 6), 0.75)
    batch = collate([mixed, sample(4, clip("c", 7, 7))])
    total, weight = ctc_sum(log_probs, batch)
    p = log_probs.exp().double().numpy()
    expected = ctc_by_enumeration(p[0], (7, 7)) / 2
    expected += 0.75 * ctc_by_enumeration(p[1, :3], (5, UNK)) / 2 + 0.25 * ctc_by_enumeration(p[1, :3], (6,))
    assert float(total) == pytest.approx(expected, rel=1e-5) and float(weight) == 2


def test_infeasible_labels_are_left_out_of_ctc_and_stay_in_the_cross_entropy() -> None:
    torch.manual_seed(0)
    sizes = {"width": 8, "layers": 1, "heads": 2, "feedforward": 8, "decoder_layers": 1}
    model = build(GlossConfig("hybrid", input_dim=2, vocab_size=8, **sizes)).eval()
    loss = Loss(0.3, 0.0, False, "fp32", torch.device("cpu"))
    short, long = sample(1, clip("a", 5, 5, 6, feasible=False)), sample(4, clip("b", 7))
    both, one = loss(model, collate([short, long])).sums, loss(model, collate([long])).sums
    assert torch.allclose(both.ctc, one.ctc) and both.ctc_weight == one.ctc_weight == 1
    assert (both.ce_weight, one.ce_weight) == (6, 2) and both.ce > one.ce
    none = loss(model, collate([short])).sums
    assert none.ctc_weight == 0 and loss.total(none) == 0.7 * none.ce / 4
    loss.total(both).backward()
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert grads and all(torch.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_over_what_the_decoder_can_say_and_real_tokens(smoothing: float) -> None:
    torch.manual_seed(0)
    sizes = {"width": 8, "layers": 1, "heads": 2, "feedforward": 8, "decoder_layers": 1}
    model = build(GlossConfig("hybrid", input_dim=2, vocab_size=8, **sizes)).eval()
    assert isinstance(model, Hybrid)
    batch = collate([sample(4, clip("c", 7, UNK)), sample(3, clip("a", 5), clip("b", 6, 7, 5), 0.75)])
    memory, valid = model.encode(batch.features, batch.lengths)
    total, weight = token_sum(model, batch, memory, valid, smoothing)
    expected = weights = 0.0
    allowed = [UNK, EOS, 5, 6, 7]
    for row, share, ids in ((0, 1.0, [7, UNK]), (1, 0.75, [5]), (1, 0.25, [6, 7, 5])):
        tokens = torch.tensor([[SOS, *ids]])
        logits = model.decode(tokens, memory[row : row + 1], valid[row : row + 1])
        log_p = logits[0].log_softmax(-1).detach()
        for place, target in enumerate([*ids, EOS]):
            smooth = -float(log_p[place, allowed].mean())
            expected += share * ((1 - smoothing) * -float(log_p[place, target]) + smoothing * smooth)
            weights += share
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(weight) == pytest.approx(weights)


def test_the_blank_ratio_counts_valid_frames_alone() -> None:
    torch.manual_seed(0)
    model = build(GlossConfig("tcn_ctc", input_dim=2, vocab_size=8, width=8, layers=1)).eval()
    loss = Loss.of(section(TcnParams), "fp32")
    batch = collate([sample(4, clip("c", 7)), sample(2, clip("a", 5))])
    with torch.no_grad():
        model.ctc.linear.bias[BLANK] = 50.0
        sums = loss(model, batch).sums
        assert (sums.blanks, sums.frames) == (6, 6)
        model.ctc.linear.bias[[BLANK, 5]] = torch.tensor([0.0, 50.0])
        assert loss(model, batch).sums.blanks == 0
