"""The sign2text network: padding never matters, and step by step gives what the whole prefix gives."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor, nn

from signloom.models.encoders import AttentionPool, reversal, standardised_motion
from signloom.models.layers import Attention, SinusoidalPositions, standardise, valid_frames
from signloom.models.sign2text import Encoded, Sign2Text, Sign2TextConfig

ENCODERS = ["transformer", "gru_attention", "tcn"]


def network(encoder: str, glosses: int = 0) -> Sign2Text:
    torch.manual_seed(0)
    sizes = {
        "width": 32,
        "layers": 2,
        "heads": 4,
        "feedforward": 48,
        "decoder_layers": 2,
        "embedding_dim": 16,
    }
    config = Sign2TextConfig(
        vocab_size=30,
        pad_id=0,
        bos_id=2,
        eos_id=3,
        text_dim=8,
        encoder=encoder,
        seq_len=24,
        max_tokens=10,
        glosses=glosses,
        **sizes,
    )
    return Sign2Text(asdict(config)).eval()


def clips(lengths: list[int], total: int, padding: float | Tensor, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Return the same clips whatever the padding's amount and content."""
    x = torch.zeros(len(lengths), total, 544) + padding
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(seed + row)
        x[row, :length] = torch.randn(length, 544, generator=generator)
    return x, valid_frames(torch.tensor(lengths), total)


def outputs(model: Sign2Text, x: Tensor, valid: Tensor, tokens: Tensor) -> list[Tensor]:
    encoded = model.encode(x, valid)
    logits = model.decode(tokens, encoded.frames, encoded.valid)
    first, cache = model.step(tokens[:, 0], model.start(encoded.frames, encoded.valid))
    second, _ = model.step(tokens[:, 1], cache)
    return [
        encoded.frames[:, :12] * valid[:, :12, None],
        encoded.embedding,
        encoded.weights[:, :12],
        logits,
        first,
        second,
    ]


@pytest.mark.parametrize("glosses", [0, 7])
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("padding", [0.0, 1e6, math.nan])
def test_content_and_amount_of_padding_change_no_output(encoder: str, padding: float, glosses: int) -> None:
    model, tokens = (
        network(encoder, glosses),
        torch.randint(4, 30, (4, 6), generator=torch.Generator().manual_seed(0)),
    )
    lengths = [12, 1, 3, 7]
    with torch.inference_mode():
        plain = outputs(model, *clips(lengths, 12, 0.0), tokens)
        padded = outputs(model, *clips(lengths, 24, padding), tokens)
        for row, length in enumerate(lengths):
            alone = outputs(model, *clips([length], length, 0.0, seed=1 + row), tokens[row : row + 1])
            for together, single in zip(plain[1:2] + plain[3:], alone[1:2] + alone[3:], strict=True):
                torch.testing.assert_close(together[row], single[0], atol=1e-5, rtol=0)
    for a, b in zip(plain, padded, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_padding_gets_no_gradient_and_frames_do(encoder: str) -> None:
    model = network(encoder)
    x, valid = clips([5, 1], 8, 3.0)
    x.requires_grad_()
    encoded = model.encode(x, valid)
    logits = model.decode(torch.tensor([[2, 5], [2, 6]]), encoded.frames, encoded.valid)
    (encoded.embedding[:, 0].sum() + logits.square().sum()).backward()
    assert x.grad is not None
    assert not x.grad[~valid].any()
    assert x.grad[valid].abs().sum(1).min() > 0


@pytest.mark.parametrize("encoder", ENCODERS)
def test_decoding_step_by_step_equals_the_whole_prefix(encoder: str) -> None:
    model = network(encoder)
    with torch.inference_mode():
        encoded = model.encode(*clips([9, 2, 5], 9, 0.0))
        tokens = torch.randint(4, 30, (3, 10), generator=torch.Generator().manual_seed(3))
        whole = model.decode(tokens, encoded.frames, encoded.valid)
        cache = model.start(encoded.frames, encoded.valid)
        for place in range(10):
            logits, cache = model.step(tokens[:, place], cache)
            torch.testing.assert_close(logits, whole[:, place], atol=1e-5, rtol=0)


def test_a_step_reads_one_token_and_the_frames_not_again_however_long_the_past_is() -> None:
    model, read, looked = network("transformer"), [], []
    model.layers[1].feedforward.register_forward_hook(lambda _, given, out: read.append(given[0].shape[1]))
    model.layers[1].cross_attention.key_value.register_forward_hook(lambda *_: looked.append(1))
    with torch.inference_mode():
        encoded = model.encode(*clips([6, 4], 6, 0.0))
        cache = model.start(encoded.frames, encoded.valid)
        for token in range(4, 10):
            _, cache = model.step(torch.full((2,), token), cache)
    assert (read, looked) == ([1] * 6, [1])


@pytest.mark.parametrize("cross", [True, False])
def test_reordered_rows_go_on_as_if_they_had_always_been_there(cross: bool) -> None:
    model = network("transformer")
    with torch.inference_mode():
        encoded = model.encode(*clips([6, 6], 6, 0.0, seed=1))
        two = encoded.frames[:1].expand(2, -1, -1) if not cross else encoded.frames
        index = torch.tensor([1, 0]) if not cross else torch.tensor([1, 1, 0])
        tokens = torch.tensor([[2, 7], [2, 9]])
        cache = model.start(two, encoded.valid)
        for place in range(2):
            _, cache = model.step(tokens[:, place], cache)
        logits, _ = model.step(torch.full((len(index),), 5), model.reorder(cache, index, cross))
        prefix = torch.cat([tokens[index], torch.full((len(index), 1), 5)], 1)
        expected = model.decode(prefix, two[index], encoded.valid[index])[:, -1]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


def test_next_tokens_are_the_logits_of_all_tokens_but_padding() -> None:
    model = network("transformer")
    with torch.inference_mode():
        encoded: Encoded = model.encode(*clips([4, 4], 4, 0.0))
        tokens = torch.tensor([[2, 8, 9, 3], [2, 7, 3, 0]])
        logits, targets = model.next_tokens(tokens, encoded)
        whole = model.decode(tokens[:, :-1], encoded.frames, encoded.valid)
    assert targets.tolist() == [8, 9, 3, 7, 3]
    torch.testing.assert_close(logits, torch.cat([whole[0], whole[1, :2]]), atol=1e-6, rtol=0)


def test_hidden_tokens_change_training_alone_and_never_the_first() -> None:
    plain = network("transformer")
    hiding = Sign2Text({**asdict(plain.config), "dropout": 0.0, "token_dropout": 0.9})
    hiding.load_state_dict(plain.state_dict())
    tokens = torch.tensor([[2, 5, 6, 7, 8, 9]])
    frames, valid = (
        torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(0)),
        torch.ones(1, 12).bool(),
    )
    seen = plain.decode(tokens, frames, valid)
    torch.testing.assert_close(hiding.eval().decode(tokens, frames, valid), seen)
    hiding.train()
    torch.manual_seed(3)
    hidden = hiding.decode(tokens, frames, valid)
    torch.testing.assert_close(hidden[:, 0], seen[:, 0])
    assert not torch.allclose(hidden[:, -1], seen[:, -1])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_embeddings_are_unit_rows_and_pooling_weights_are_shares_of_valid_frames(encoder: str) -> None:
    model = network(encoder)
    with torch.inference_mode():
        encoded = model.encode(*clips([8, 3, 1], 8, 0.0))
        text = model.project_text(torch.randn(4, 8))
    for rows in (encoded.embedding, text):
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)))
    torch.testing.assert_close(encoded.weights.sum(1), torch.ones(3))
    assert not encoded.weights[~encoded.valid].any() and not encoded.frames[~encoded.valid].any()


def test_the_full_sizes_build_the_network_that_the_docs_describe() -> None:
    with torch.device("meta"):
        gru = Sign2Text(Sign2TextConfig(30522, 0, 101, 102, 768, encoder="gru_attention", decoder_layers=2))
        full = Sign2Text(Sign2TextConfig(30522, 0, 101, 102, 768))
    assert [full.encoder.input.weight.shape, full.embed.weight.shape] == [(512, 544), (256, 512)]
    assert (len(full.encoder.layers), len(full.layers), full.layers[0].self_attention.heads) == (6, 6, 8)
    assert full.layers[0].feedforward[0].out_features == 2048
    assert [layer.hidden_size for layer in gru.encoder.forwards] == [160, 160]
    assert gru.encoder.forwards[1].input_size == 320 and gru.encoder.pool.score.out_features == 4
    assert isinstance(gru.embed[1], nn.LayerNorm) and isinstance(gru.positions, SinusoidalPositions)


def test_attention_agrees_with_torchs_own() -> None:
    torch.manual_seed(0)
    ours, reference = Attention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        reference.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        reference.out_proj.load_state_dict(ours.out.state_dict())
        x, context = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
        valid = valid_frames(torch.tensor([5, 2]), 5)
        expected, _ = reference(x, context, context, key_padding_mask=~valid)
        torch.testing.assert_close(ours(x, ours.keys_values(context), valid[:, None, None]), expected)


def test_a_clip_is_reversed_within_its_own_length() -> None:
    valid = valid_frames(torch.tensor([4, 1, 2]), 4)
    assert reversal(valid).tolist() == [[3, 2, 1, 0], [0, 1, 2, 3], [1, 0, 2, 3]]


def test_motion_is_standardised_over_the_valid_frames_of_a_clip() -> None:
    x, valid = clips([6, 1], 9, 50.0)
    motion = standardised_motion(x, valid)
    change = [0.0] + [float((x[0, t] - x[0, t - 1]).square().mean().sqrt()) for t in range(1, 6)]
    mean = sum(change) / 6
    deviation = math.sqrt(sum((value - mean) ** 2 for value in change) / 6)
    expected = torch.tensor([(value - mean) / deviation for value in change])
    torch.testing.assert_close(motion[0, :6], expected, atol=1e-4, rtol=0)
    assert not motion[~valid].any() and motion[1, 0] == 0


def test_pooling_looks_more_at_frames_that_move_more() -> None:
    torch.manual_seed(0)
    pool, x = AttentionPool(8, 4), torch.ones(1, 3, 8)
    _, weights = pool(x, torch.tensor([[-1.0, 0.0, 1.0]]), torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(weights[0], torch.tensor([-1.0, 0.0, 1.0]).softmax(0))


def test_standardising_puts_missing_values_at_the_mean_and_keeps_their_mask() -> None:
    features = torch.full((1, 2, 540), 5.0)
    features[0, 1, 132:195] = math.nan
    mask = torch.tensor([[[1, 1, 1, 1], [1, 0, 1, 1]]], dtype=torch.uint8)
    x = standardise(features, mask, torch.full((540,), 3.0), torch.full((540,), 4.0))
    assert x.shape == (1, 2, 544) and x[0, :, 540:].tolist() == mask[0].tolist()
    assert (x[0, 1, 132:195] == 0).all() and (x[0, 0, :540] == 0.5).all() and (x[0, 1, 195:540] == 0.5).all()


def test_a_column_without_variance_in_training_is_0_whatever_is_added_to_it() -> None:
    std = torch.full((540,), 4.0)
    std[[2, 9]] = 1e-4
    features = torch.full((1, 1, 540), 5.0)
    x = standardise(features, torch.ones(1, 1, 4), torch.full((540,), 3.0), std)
    assert x[0, 0, [2, 9]].tolist() == [0, 0] and x[0, 0, [1, 3]].tolist() == [0.5, 0.5]


class Embed(nn.Module):
    """The part of the network that is exported."""

    def __init__(self, model: Sign2Text) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        return self.model.encode(x, valid).embedding


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_encoder_becomes_a_graph_that_takes_other_sizes(encoder: str) -> None:
    module, example = Embed(network(encoder)), clips([7, 5], 7, 0.0)
    if encoder == "transformer":
        shape = {0: torch.export.Dim("batch", min=1, max=64), 1: torch.export.Dim("time", min=2, max=24)}
        graph = torch.export.export(module, example, dynamic_shapes=(shape, shape), strict=False).module()
    else:
        # torch.export unrolls recurrent layers to a fixed length; a trace keeps them whole
        graph = torch.jit.trace(module, example, check_trace=False)
    x, valid = clips([20, 3, 9], 20, 0.0)
    torch.testing.assert_close(graph(x, valid), module(x, valid), atol=1e-5, rtol=0)


def test_a_decoder_of_glosses_knows_nothing_of_a_clip_but_their_probabilities() -> None:
    model, tokens = network("transformer", glosses=7), torch.tensor([[2, 5, 6]])
    with torch.inference_mode():
        encoded = model.encode(*clips([6], 6, 0.0))
        assert encoded.glosses is not None and encoded.frames.shape[2] == model.frame_dim == 32 + 7
        torch.testing.assert_close(encoded.frames[..., 32:], encoded.glosses.exp())
        said = model.decode(tokens, encoded.frames, encoded.valid)
        spelled = model.spelled(encoded.glosses.exp(), encoded.valid)
        torch.testing.assert_close(model.decode(tokens, spelled.frames, spelled.valid), said)
        other = encoded.frames.roll(1, 1)[..., 32:]
        assert not torch.allclose(
            model.decode(tokens, model.spelled(other, encoded.valid).frames, encoded.valid), said
        )


def test_the_loss_of_tokens_does_not_train_what_finds_glosses() -> None:
    model = network("transformer", glosses=7).train()
    encoded = model.encode(*clips([6, 3], 6, 0.0))
    logits, targets = model.next_tokens(torch.tensor([[2, 5, 3], [2, 8, 3]]), encoded)
    nn.functional.cross_entropy(logits, targets).backward()
    found = {
        name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()
    }
    assert "reader.vectors.weight" in found
    assert not {
        name for name in found if name.startswith(("reader.ctc", "reader.conv", "reader.input", "encoder"))
    }


def test_glosses_are_found_in_half_a_second_around_a_frame() -> None:
    model = network("transformer", glosses=7)
    x, valid = clips([20], 20, 0.0)
    changed = x.clone()
    changed[:, 10] += 1.0
    with torch.inference_mode():
        apart = (model.reader(x, valid) - model.reader(changed, valid)).nan_to_num().abs().amax(2)[0]
    assert apart.nonzero().flatten().tolist() == list(range(4, 17))
