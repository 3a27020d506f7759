"""Networks that the demo does not export: the recurrent encoder, convolutions; and the rows that all read."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from signloom.augment.landmark_rows import centre_crop
from signloom.errors import SignloomError
from signloom.export import checks
from signloom.export.clip_networks import (
    ClipInput,
    DecoderNetwork,
    EncoderNetwork,
    GlossNetwork,
    clip_lengths,
    for_onnx,
    middle,
    spread,
)
from signloom.export.metrics import headlines
from signloom.export.network_files import Port, to_int8, to_onnx, to_torchscript
from signloom.export.sources import relative
from signloom.features.gloss_rows import GlossRows, Rows
from signloom.features.pose.position_features import presence
from signloom.features.stats import Stats
from signloom.models.gloss import GlossConfig, build
from signloom.models.sign2text import Sign2Text, Sign2TextConfig

CLIPS = [Port("sequence", ("batch", "time", 540)), Port("mask", ("batch", "time", 4))]
EXAMPLE = torch.zeros(2, 5, 540), torch.ones(2, 5, 4, dtype=torch.int8)
STILL_COLUMNS = [2, 200, 300]
LENGTHS = [[1], [3], [8], [9], [21], [1, 5, 30]]


def batch(lengths: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(lengths)
    clips = []
    for length in lengths:
        features = rng.normal(size=(length, 540)).astype(np.float32)
        mask = np.ones((length, 4), np.uint8)
        mask[::3, 2], features[::3, 195:258] = 0, np.nan
        clips.append((features, mask))
    return clips


@pytest.fixture(scope="module")
def recurrent() -> EncoderNetwork:
    torch.manual_seed(0)
    config = Sign2TextConfig(
        vocab_size=9, pad_id=0, bos_id=1, eos_id=2, text_dim=4, encoder="gru_attention", width=8, heads=2,
        feedforward=8, decoder_layers=1, embedding_dim=6, seq_len=8,
    )  # fmt: skip
    std = torch.rand(540) + 0.5
    std[STILL_COLUMNS] = 1e-4
    return EncoderNetwork(Sign2Text(config), torch.randn(540), std).eval()


def test_rows_that_are_no_landmarks_are_missing_where_they_are_not_numbers() -> None:
    points = np.array([[[1, 2], [3, 4], [5, 6]], [[np.nan] * 2, [3, 4], [5, 6]], [[np.nan] * 2] * 3], float)
    mask = torch.from_numpy(presence(points).astype(np.int8))[None]
    rows = torch.from_numpy(points.reshape(3, 6)).float()[None]
    x, valid = ClipInput(torch.zeros(6), torch.ones(6))(rows, mask, torch.arange(3)[None])
    assert x[0, :, :6].tolist() == [[1, 2, 3, 4, 5, 6], [0, 0, 3, 4, 5, 6], [0] * 6] and valid.all()
    padded = ClipInput(torch.zeros(6), torch.ones(6))(rows, -torch.ones_like(mask), torch.arange(3)[None])
    assert not padded[0].any() and not padded[1].any()


@pytest.fixture(scope="module")
def recurrent_file(recurrent: EncoderNetwork) -> bytes:
    outputs = [Port("embedding", ("batch", 6)), Port("frames", ("batch", "kept", 320))]
    return to_onnx(for_onnx(recurrent), EXAMPLE, CLIPS, outputs)


def test_the_recurrent_encoder_is_exported_for_every_length(
    recurrent: EncoderNetwork, recurrent_file: bytes
) -> None:
    said = checks.check_clips("encoder", recurrent_file, recurrent, [batch(lengths) for lengths in LENGTHS])
    assert "agrees with PyTorch" in said
    session = onnxruntime.InferenceSession(recurrent_file, providers=["CPUExecutionProvider"])
    for lengths in LENGTHS:
        features, mask = batch(lengths)[-1]
        clip, present = centre_crop(features, mask, 8)
        z = (clip - recurrent.prepare.mean.numpy()) / recurrent.prepare.std.numpy()
        z[:, STILL_COLUMNS] = 0
        x = torch.from_numpy(np.concatenate([np.nan_to_num(z, nan=0.0), present], 1)).float()[None]
        with torch.inference_mode():
            encoded = recurrent.model.encode(x, torch.ones(1, len(clip), dtype=torch.bool))
        found = session.run(None, {"sequence": features[None], "mask": mask[None].astype(np.int8)})
        np.testing.assert_allclose(found[0], encoded.embedding.numpy(), atol=1e-6)
        np.testing.assert_allclose(found[1], encoded.frames.numpy(), atol=1e-6)


@pytest.mark.parametrize("encoder", ["transformer", "gru_attention", "tcn"])
def test_weights_in_8_bits_are_of_the_kind_that_every_runtime_multiplies(encoder: str) -> None:
    torch.manual_seed(0)
    config = Sign2TextConfig(
        vocab_size=9, pad_id=0, bos_id=1, eos_id=2, text_dim=4, encoder=encoder, width=32, heads=2, layers=1,
        feedforward=32, decoder_layers=2, embedding_dim=16, seq_len=8,
    )  # fmt: skip
    network = EncoderNetwork(Sign2Text(config), torch.randn(540), torch.rand(540) + 0.5).eval()
    outputs = [Port("embedding", ("batch", 16)), Port("frames", ("batch", "kept", network.model.frame_dim))]
    exact = to_onnx(for_onnx(network), EXAMPLE, CLIPS, outputs)
    small = to_int8(exact)
    assert "cosine to 32 bits" in checks.check_int8("int8", small, exact, [batch([3]), batch([1, 5, 30])])
    graph = onnx.load_from_string(small).graph
    kind = {weights.name: weights.data_type for weights in graph.initializer}
    read = [node.input[1] for node in graph.node if node.op_type in ("MatMulInteger", "ConvInteger")]
    assert read and {kind[name] for name in read} == {onnx.TensorProto.UINT8}


def test_a_decoder_of_glosses_is_exported_with_what_finds_them() -> None:
    torch.manual_seed(0)
    config = Sign2TextConfig(
        vocab_size=9, pad_id=0, bos_id=1, eos_id=2, text_dim=4, width=8, heads=2, layers=1, feedforward=8,
        decoder_layers=1, embedding_dim=6, seq_len=8, max_tokens=6, glosses=7,
    )  # fmt: skip
    network = EncoderNetwork(Sign2Text(config), torch.randn(540), torch.rand(540) + 0.5).eval()
    outputs = [Port("embedding", ("batch", 6)), Port("frames", ("batch", "kept", 15))]
    made = to_onnx(for_onnx(network), EXAMPLE, CLIPS, outputs)
    clips = [batch(lengths) for lengths in LENGTHS]
    assert "agrees with PyTorch" in checks.check_clips("encoder", made, network, clips)
    decoder = DecoderNetwork(network.model).eval()
    inputs = [Port("tokens", ("rows", "length")), Port("frames", (1, "time", 15))]
    example = torch.zeros(2, 3, dtype=torch.long), torch.zeros(1, 5, 15)
    made = to_onnx(decoder, example, inputs, [Port("log_probs", ("rows", 9))])
    rng = np.random.default_rng(0)
    frames = [rng.random((length, 15), np.float32) for length in (1, 3, 8)]
    assert "agrees with PyTorch" in checks.check_decoder("decoder", made, decoder, frames, 6)
    tokens, valid = torch.tensor([[1, 5, 6]]), torch.ones(1, 8, dtype=torch.bool)
    with torch.inference_mode():
        states = torch.from_numpy(frames[2])[None]
        said = network.model.decode(tokens, states, valid)[:, -1].log_softmax(-1)
        torch.testing.assert_close(decoder(tokens, states), said)


def test_a_network_that_answers_otherwise_stops_the_export(
    recurrent: EncoderNetwork, recurrent_file: bytes
) -> None:
    torch.manual_seed(1)
    model = Sign2Text(recurrent.model.config)
    other = EncoderNetwork(model, recurrent.prepare.mean, recurrent.prepare.std).eval()
    with pytest.raises(SignloomError, match=r"encoder: differs from PyTorch by .* on input \(1, 3, 540\)"):
        checks.check_clips("encoder", recurrent_file, other, [batch([3])])
    script = to_torchscript(recurrent, EXAMPLE)
    assert "agrees" in checks.check_torchscript("script", script, recurrent, [batch([3])])
    with pytest.raises(SignloomError, match="script: differs"):
        checks.check_torchscript("script", script, other, [batch([3])])
    outputs = [Port("embedding", ("batch", 6)), Port("frames", ("batch", "kept", 320))]
    wrong = to_onnx(for_onnx(other), EXAMPLE, CLIPS, outputs)
    with pytest.raises(SignloomError, match="int8: an embedding in 8 bits"):
        checks.check_int8("int8", wrong, recurrent_file, [batch([3])])


def test_convolutions_are_exported() -> None:
    torch.manual_seed(2)
    config = GlossConfig(network="tcn_ctc", input_dim=544, vocab_size=9, width=8, layers=2, max_frames=8)
    network = GlossNetwork(build(config), torch.randn(540), torch.rand(540) + 0.5).eval()
    outputs = [
        Port("frames", ("batch", "kept", 8)),
        Port("log_probs", ("batch", "kept", 9)),
        Port("greedy", ("batch", "kept")),
    ]
    model = to_onnx(network, EXAMPLE, CLIPS, outputs)
    assert "agrees" in checks.check_clips("gloss", model, network, [batch(lengths) for lengths in LENGTHS])


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(1, 20))
def test_rows_are_picked_as_training_picked_them(lengths: list[int], most: int) -> None:
    longest = max(lengths)
    mask = torch.full((len(lengths), longest, 4), -1, dtype=torch.int8)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    counted = clip_lengths(mask)
    assert counted.tolist() == lengths
    stats = {"pose": Stats(np.zeros(1, np.float32), np.ones(1, np.float32))}
    rows = GlossRows("pose", None, None, stats, most)
    for row, length in enumerate(lengths):
        numbers = np.arange(length, dtype=np.float32)[:, None]
        kept = rows.subsample(Rows(numbers, np.ones((length, 4)))).values[:, 0]
        assert spread(counted, longest, most)[row, : len(kept)].tolist() == kept.tolist()
        cropped = centre_crop(numbers, np.ones((length, 4), np.uint8), most)[0][:, 0]
        assert middle(counted, longest, most)[row, : len(cropped)].tolist() == cropped.tolist()


def test_absolute_paths_lose_what_they_have_in_common() -> None:
    assert relative(["/home/me/videos/a/1.mp4", "/home/me/videos/b/1.mp4"]) == ["a/1.mp4", "b/1.mp4"]
    assert relative(["/home/me/1.mp4"]) == ["1.mp4"]
    assert relative(["/home/me/x/1.mp4", "data/2.mp4"]) == ["1.mp4", "data/2.mp4"]
    assert relative(["data/1.mp4", ""]) == ["data/1.mp4", ""]


def test_headlines_are_the_defined_figures_with_their_bounds() -> None:
    test = {
        "n": 4,
        "ret_top1": 0.5,
        "ret_top1_low": 0.2,
        "ret_top1_high": 0.8,
        "ret_mrr": None,
        "r_at_5": 1.0,
    }
    tree = {"test": {**test, "leave_one_out": dict(test)}, "val": {"n": 0, "ret_top1": None}}
    kept = {name: test[name] for name in ("n", "ret_top1", "ret_top1_low", "ret_top1_high")}
    assert headlines({"retrieval": tree, "splits": {"test": {"wer": 1.0}}}) == {"retrieval": {"test": kept}}
