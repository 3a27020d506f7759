"""The gloss networks: padding never matters, and no head says what it must not."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from signloom.decoding.attention import attention_beam
from signloom.models.gloss import GlossConfig, Hybrid, TcnCtc, TemporalConvolutions, build
from signloom.models.layers import valid_frames
from signloom.text.vocabulary import BLANK, PAD, SOS, SYMBOLS, UNK

NETWORKS = ["hybrid", "tcn_ctc"]


def network(name: str) -> Hybrid | TcnCtc:
    torch.manual_seed(0)
    sizes = {"width": 32, "layers": 3, "heads": 4, "feedforward": 48, "decoder_layers": 2}
    config = GlossConfig(name, input_dim=6, vocab_size=12, max_frames=30, max_tokens=9, **sizes)
    return build(asdict(config)).eval()


def clips(lengths: list[int], total: int, padding: float, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return the same clips whatever the padding's amount and content."""
    x = torch.full((len(lengths), total, 6), padding)
    for row, length in enumerate(lengths):
        x[row, :length] = torch.randn(length, 6, generator=torch.Generator().manual_seed(seed + row))
    return x, torch.tensor(lengths)


def outputs(model: Hybrid | TcnCtc, x: Tensor, lengths: Tensor) -> list[Tensor]:
    """Return memory, CTC log-probabilities and logits of a prefix and of a step, all at valid places."""
    memory, valid = model.encode(x, lengths)
    shown = [
        memory[:, : lengths.max()],
        (model.ctc(memory).exp() * valid[:, :, None])[:, : lengths.max()],
    ]
    if isinstance(model, Hybrid):
        tokens = torch.tensor([[SOS, 5, 7]]).expand(len(x), -1)
        step, _ = model.step(tokens[:, 0], model.start(memory, valid))
        shown += [model.decode(tokens, memory, valid).softmax(-1), step.softmax(-1)]
    return shown


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("padding", [0.0, 1e6, math.nan])
def test_content_and_amount_of_padding_change_no_output(name: str, padding: float) -> None:
    model, lengths = network(name), [12, 1, 3, 7]
    with torch.inference_mode():
        plain = outputs(model, *clips(lengths, 12, 0.0))
        padded = outputs(model, *clips(lengths, 30, padding))
        for a, b in zip(plain, padded, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
        for row, length in enumerate(lengths):
            alone = outputs(model, *clips([length], length, 0.0, seed=1 + row))
            for together, single in zip(plain[:2], alone[:2], strict=True):
                torch.testing.assert_close(together[row, :length], single[0], atol=1e-5, rtol=0)
                assert not together[row, length:].any(), "0 at padding"
            for together, single in zip(plain[2:], alone[2:], strict=True):
                torch.testing.assert_close(together[row], single[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_gets_no_gradient_and_frames_do(name: str) -> None:
    model = network(name)
    x, lengths = clips([5, 1], 8, 3.0)
    x.requires_grad_()
    memory, valid = model.encode(x, lengths)
    loss = model.ctc(memory)[:, :, 5:].square()[valid].sum()
    if isinstance(model, Hybrid):
        loss = loss + model.decode(torch.tensor([[SOS, 5], [SOS, 6]]), memory, valid)[..., 5:].square().sum()
    loss.backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    assert not x.grad[~valid].any()
    assert x.grad[valid].abs().sum(1).min() > 0


def test_decoding_step_by_step_equals_the_whole_prefix() -> None:
    model = network("hybrid")
    assert isinstance(model, Hybrid)
    with torch.inference_mode():
        memory, valid = model.encode(*clips([9, 2, 5], 9, 0.0))
        tokens = torch.randint(4, 12, (3, 9), generator=torch.Generator().manual_seed(3))
        whole = model.decode(tokens, memory, valid)
        cache = model.start(memory, valid)
        for place in range(9):
            logits, cache = model.step(tokens[:, place], cache)
            torch.testing.assert_close(logits, whole[:, place], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_ctc_gives_probability_to_unk_blank_and_glosses_alone(name: str) -> None:
    model = network(name)
    memory, _ = model.encode(*clips([4, 3], 4, 0.0))
    log_probs = model.ctc(memory)
    assert log_probs.dtype == torch.float32 and log_probs.shape == (2, 4, 12)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 4))
    possible = torch.isfinite(log_probs).all(0).all(0).nonzero().flatten().tolist()
    assert possible == [UNK, BLANK, *range(5, 12)]


def test_attention_never_says_pad_blank_or_start() -> None:
    model = network("hybrid")
    assert isinstance(model, Hybrid)
    with torch.no_grad():
        model.output.bias[[PAD, BLANK, SOS]] = 100.0  # what it would say if it could
    memory, valid = model.encode(*clips([6, 2], 6, 0.0))
    for beam in (1, 4):
        for found in attention_beam(model, memory, valid, SYMBOLS, beam=beam, alpha=0.8, max_tokens=9):
            assert not {PAD, BLANK, SOS} & set(found.tokens)


def test_dilation_doubles_so_that_five_layers_see_31_frames_to_each_side() -> None:
    torch.manual_seed(0)
    layers = TemporalConvolutions(8, layers=5, kernel=3, dropout=0.0)
    x = torch.randn(1, 101, 8, requires_grad=True)
    layers(x, valid_frames(torch.tensor([101]), 101))[0, 50].square().sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(1).nonzero().flatten().tolist()
    assert (seen[0], seen[-1]) == (50 - 31, 50 + 31)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown network 'rnn'"):
        build({"network": "rnn", "input_dim": 3, "vocab_size": 6})
