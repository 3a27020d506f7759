"""What makes training fast must not change what is learnt."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils import deterministic

from signloom.models import layers
from signloom.models.gloss import GlossConfig, Hybrid
from signloom.models.layers import Packing, valid_frames
from signloom.models.sign2text import Sign2Text, Sign2TextConfig
from signloom.text.vocabulary import BLANK
from signloom.training.ctc import _of_own_labels, ctc_losses
from signloom.training.epochs import reproducible, run_epochs
from signloom.training.glosses.corpus import GlossClip
from signloom.training.glosses.data import Sample, collate
from signloom.training.glosses.losses import Loss
from signloom.training.optimiser import Optimiser
from signloom.training.progress import Progress, Row
from signloom.training.sentences.data import PaddedView, stacked

WIDE = {"width": 256, "layers": 2, "heads": 4, "feedforward": 64, "decoder_layers": 2, "dropout": 0.0}


def gradients(model: nn.Module, loss: Tensor) -> Tensor:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_packing_keeps_the_valid_rows_and_their_gradients(lengths: list[int]) -> None:
    valid = valid_frames(torch.tensor(lengths), max(lengths))
    block = torch.randn(*valid.shape, 3, requires_grad=True)
    packing = Packing(valid)
    rows = packing.pack(block)
    assert torch.equal(rows[0], block[valid])
    again = packing.pad(rows)
    assert torch.equal(again[valid], block[valid])
    weights = torch.randn_like(block) * valid[:, :, None]
    (again * weights).sum().backward()  # type: ignore[no-untyped-call]
    assert block.grad is not None and torch.equal(block.grad, weights)


@pytest.mark.parametrize("lengths", [[1], [3, 1], [9, 4, 7]])
def test_a_wide_network_trains_on_packed_rows_as_on_padded_ones(
    lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = Sign2Text(Sign2TextConfig(20, 0, 1, 2, 8, feature_dim=6, embedding_dim=16, **WIDE)).train()
    valid = valid_frames(torch.tensor(lengths), max(lengths) + 2)
    x = torch.randn(*valid.shape, 10)
    tokens = torch.tensor([[1, 5, 6, 2], [1, 2, 0, 0], [1, 7, 2, 0]])[: len(lengths)]

    def run() -> tuple[Tensor, Tensor]:
        encoded = model.encode(x, valid)
        logits, _ = model.next_tokens(tokens, encoded)
        found = torch.cat([encoded.embedding.flatten(), encoded.frames.flatten(), logits.flatten()])
        return found.detach(), gradients(model, (found * torch.linspace(-1, 1, len(found))).sum())

    packed = run()
    monkeypatch.setattr(layers, "_PACKED_WIDTH", 10_000)
    padded = run()
    for a, b in zip(packed, padded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_wide_gloss_network_trains_on_packed_rows_as_on_padded_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    model = Hybrid(GlossConfig("hybrid", 10, 12, max_frames=20, **WIDE)).train()
    said = [(12, (5, 6, 6, 7)), (3, (8,)), (7, (9, 10))]
    batch = collate([Sample(torch.randn(n, 10).numpy(), GlossClip("", "", ids, True, ())) for n, ids in said])
    loss = Loss(0.3, 0.1, False, "fp32", torch.device("cpu"))

    def run() -> tuple[Tensor, Tensor]:
        total = loss.total(loss(model, batch).sums)
        return total.detach(), gradients(model, total)

    packed = run()
    monkeypatch.setattr(layers, "_PACKED_WIDTH", 10_000)
    padded = run()
    for a, b in zip(packed, padded, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([1, 5, 6, 7]), min_size=1, max_size=4), min_size=1, max_size=4))
def test_ctc_of_a_clips_own_labels_is_ctc_of_the_whole_vocabulary(lines: list[list[int]]) -> None:
    torch.manual_seed(0)
    longest = max(map(len, lines))
    targets = torch.tensor([line + [0] * (longest - len(line)) for line in lines])
    sizes, lengths = torch.tensor([len(line) for line in lines]), torch.randint(8, 12, (len(lines),))
    logits = torch.randn(len(lines), 11, 9)

    def run(way: object) -> tuple[Tensor, Tensor]:
        x = logits.clone().requires_grad_()
        log_probs = x.index_fill(-1, torch.tensor([0, 3, 4]), -torch.inf).log_softmax(-1)
        losses = way(log_probs, lengths, targets, sizes)  # type: ignore[operator]
        (losses * torch.arange(1.0, len(lines) + 1)).sum().backward()
        assert x.grad is not None
        return losses.detach(), x.grad

    for a, b in zip(run(_of_own_labels), run(ctc_losses), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_ctc_in_a_large_vocabulary_is_that_of_pytorch_over_all_of_it() -> None:
    torch.manual_seed(0)
    targets, sizes, lengths = (
        torch.tensor([[7, 7, 599], [5, 1, 0]]),
        torch.tensor([3, 2]),
        torch.tensor([11, 8]),
    )
    logits = torch.randn(2, 11, 600, requires_grad=True)
    ours = ctc_losses(logits.log_softmax(-1), lengths, targets, sizes)
    (mine,) = torch.autograd.grad(ours.sum(), logits)
    log_probs = logits.log_softmax(-1).transpose(0, 1)
    theirs = F.ctc_loss(log_probs, targets, lengths, sizes, blank=BLANK, reduction="none")
    (reference,) = torch.autograd.grad(theirs.sum(), logits)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


def test_stacked_views_are_the_clips_of_each_view() -> None:
    views = [
        PaddedView(torch.randn(2, n, 3), torch.ones(2, n, 4, dtype=torch.uint8), torch.tensor([n, 1]))
        for n in (3, 2)
    ]
    both = stacked(views)
    assert both.lengths.tolist() == [3, 1, 2, 1]
    assert torch.equal(both.features[:2], views[0].features)
    assert torch.equal(both.features[2:, :2], views[1].features)
    assert both.features[2:, 2].isnan().all() and not both.mask[2:, 2].any()


def test_training_leaves_the_settings_of_its_caller() -> None:
    settings: object = deterministic
    with reproducible(1):
        assert settings.fill_uninitialized_memory is False  # type: ignore[attr-defined]
    assert settings.fill_uninitialized_memory is True  # type: ignore[attr-defined]
    assert torch.get_deterministic_debug_mode() == 0


def test_dropout_draws_anew_in_every_epoch_and_with_every_seed(tmp_path: Path) -> None:
    drawn = []

    def train_epoch(epoch: int) -> Row:
        drawn.append(tuple(torch.rand(4).tolist()))
        return {}

    for seed in (7, 7, 8):
        optimiser = Optimiser(nn.Linear(1, 1), 0.1, 0.0, "fp32", 1.0)
        progress = Progress(tmp_path, {}, optimiser, lambda row: (0.0,))
        with torch.random.fork_rng():
            run_epochs(progress, train_epoch, lambda rows: None, seed, 2, [])
    assert drawn[:2] == drawn[2:4] and len(set(drawn)) == 4
