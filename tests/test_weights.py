"""Weights come from where they should, are the ones expected, and run nothing while they are read."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from demo_params import section
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from signloom.errors import SignloomError
from signloom.features.backbones import weights
from signloom.features.backbones.backbone import load_backbone
from signloom.features.backbones.convert import read_arrays, read_torch, tensors_digest
from signloom.features.backbones.i3d import Unit3d
from signloom.features.backbones.registry import BACKBONES
from signloom.features.backbones.video_networks import Network, build, fill
from signloom.files import file_sha256
from signloom.params.clips import ClipFeaturesParams

pytestmark = pytest.mark.usefixtures("weights_cache")

I3D = BACKBONES["i3d"]


# the package


def test_the_packaged_weights_are_converted_once_and_then_read_from_the_cache(
    weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = weights.find_weights(I3D, "pretrained", None)
    assert (first.name, first.sha256) == ("pretrained", I3D.weights.sha256)
    assert len(first.tensors()) == 230
    (cached,) = weights_cache.iterdir()
    written = cached.stat().st_mtime_ns

    monkeypatch.setattr(weights, "packaged_file", lambda spec: pytest.fail("the package was read again"))
    second = weights.find_weights(I3D, "pretrained", None)
    assert cached.stat().st_mtime_ns == written
    assert tensors_digest(second.tensors()) == tensors_digest(first.tensors()) == I3D.weights.tensors_sha256


def test_a_cached_file_that_was_changed_or_cut_is_made_again(weights_cache: Path) -> None:
    good = weights.find_weights(I3D, "pretrained", None).tensors()
    (cached,) = weights_cache.iterdir()
    changed = {name: value.clone() for name, value in good.items()}
    changed["logits.conv3d.bias"][7] += 1e-3
    save_file(changed, cached)
    assert (
        tensors_digest(weights.find_weights(I3D, "pretrained", None).tensors()) == I3D.weights.tensors_sha256
    )
    assert tensors_digest(load_file(cached)) == I3D.weights.tensors_sha256
    cached.write_bytes(cached.read_bytes()[:1000])
    assert (
        tensors_digest(weights.find_weights(I3D, "pretrained", None).tensors()) == I3D.weights.tensors_sha256
    )


@pytest.fixture
def no_cache(weights_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the user's that cannot be written to, whoever tries: there is a file in its place."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))


@pytest.mark.usefixtures("no_cache")
def test_packaged_weights_load_where_the_cache_cannot_be_written_and_one_line_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(weights.find_weights(I3D, "pretrained", None).tensors()) == 230
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ") and "file/signloom" in line and "set XDG_CACHE_HOME" in line


@pytest.mark.usefixtures("no_cache")
def test_weights_that_are_fetched_need_a_cache_and_one_line_says_which() -> None:
    with pytest.raises(SignloomError, match=r"s3d: weights cannot be kept: .*file/signloom.*XDG_CACHE_HOME"):
        weights.find_weights(BACKBONES["s3d"], "pretrained", None)


def test_a_user_without_a_home_is_told_to_name_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(SignloomError, match="set XDG_CACHE_HOME"):
        weights.find_weights(I3D, "pretrained", None).tensors()


def test_a_package_with_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "i3d-kinetics-400.ckpt"
    other.write_bytes(weights.packaged_file(I3D).read_bytes()[:-1] + b"x")
    monkeypatch.setattr(weights, "packaged_file", lambda spec: other)
    with pytest.raises(
        SignloomError, match=rf"sha256 is {file_sha256(other)}, expected {I3D.weights.sha256}"
    ):
        weights.find_weights(I3D, "pretrained", None).tensors()


def test_a_digest_that_is_not_that_of_the_packaged_weights_is_refused() -> None:
    right = I3D.weights.sha256
    assert weights.find_weights(I3D, "pretrained", right).sha256 == right
    with pytest.raises(SignloomError, match=r"weights_sha256 0000.* the package's weights of i3d have"):
        weights.find_weights(I3D, "pretrained", "0" * 64)


def test_a_missing_package_is_named() -> None:
    spec = replace(I3D, weights=replace(I3D.weights, package="no_such_package"))
    with pytest.raises(SignloomError, match=r"package no-such-package .* run make setup"):
        weights.find_weights(spec, "pretrained", None).tensors()


def test_random_weights_say_so_and_read_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "packaged_file", lambda spec: pytest.fail("a file was read"))
    backbone = load_backbone(section(ClipFeaturesParams, weights="random"))
    assert (backbone.weights_name, backbone.weights_sha256) == ("random", "")


# reading without running


class Trap:
    """A pickle of this leaves a file when it is loaded by an ordinary unpickler."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.path,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
def test_a_pickle_that_would_run_something_is_refused_before_it_does(tmp_path: Path) -> None:
    trap, sprung = tmp_path / "trap.ckpt", tmp_path / "sprung"
    trap.write_bytes(pickle.dumps({"params": np.zeros(2, np.float32), "more": Trap(sprung)}))
    pickle.loads(trap.read_bytes())
    assert sprung.exists(), "the trap itself works"
    sprung.unlink()
    for read in (read_arrays, read_torch):
        with pytest.raises(SignloomError, match=r"trap\.ckpt"):
            read(trap)
    assert not sprung.exists()


@pytest.mark.parametrize(
    "content", [{"a": 1}, {"a": {"b": "text"}}, {"a": np.zeros(2, np.int64)}, [1.0], None]
)
def test_a_pickle_of_other_things_than_arrays_of_numbers_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "odd.ckpt"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(SignloomError, match=r"odd\.ckpt"):
        read_arrays(path)


def test_nested_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((3, 2, 4)).astype(np.float32)
    path = tmp_path / "good.ckpt"
    path.write_bytes(
        pickle.dumps({"a": {"b": {"c": values, "d": np.asfortranarray(values)}}, "e": values[1]})
    )
    arrays = read_arrays(path)
    assert list(arrays) == ["a/b/c", "a/b/d", "e"]
    for key, expected in {"a/b/c": values, "a/b/d": values, "e": values[1]}.items():
        np.testing.assert_array_equal(arrays[key], expected)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SignloomError, match="expected a pickle of only NumPy arrays"):
        read_arrays(path)


# local files


def public_form(network: Network, seed: int) -> dict[str, Tensor]:
    """Return a state as in the public `rgb_imagenet.pt`: its normalisations have a scale and a counter."""
    generator = torch.Generator().manual_seed(seed)
    state = {name: value.clone() for name, value in network.get_submodule("model").state_dict().items()}
    for name in [name for name in state if name.endswith(".bn.bias")]:
        bn, width = name.removesuffix(".bias"), state[name].shape
        state[name] = torch.randn(width, generator=generator)
        state[f"{bn}.running_mean"] = torch.randn(width, generator=generator)
        state[f"{bn}.running_var"] = torch.rand(width, generator=generator) + 0.5
        state[f"{bn}.weight"] = torch.randn(width, generator=generator) + 0.5
        state[f"{bn}.num_batches_tracked"] = torch.tensor(9)
    return state


@pytest.mark.parametrize("zipped", [True, False])
def test_the_public_pytorch_checkpoint_loads_by_name_with_its_scales(tmp_path: Path, zipped: bool) -> None:
    state = public_form(build("i3d", 1), seed=2)
    path = tmp_path / "rgb_imagenet.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    params = section(ClipFeaturesParams, weights=str(path), weights_sha256=file_sha256(path))
    backbone = load_backbone(params, torch.device("cpu"))
    assert (backbone.weights_name, backbone.weights_sha256) == ("rgb_imagenet.pt", file_sha256(path))

    # the same network with PyTorch's own batch normalisation, which has the scale
    plain = build("i3d", 3).get_submodule("model")
    for unit in plain.modules():
        if isinstance(unit, Unit3d):
            unit.bn = nn.BatchNorm3d(unit.conv3d.out_channels, eps=1e-3)
    plain.load_state_dict(state)
    frames = torch.rand((1, 3, 9, 32, 32), generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        expected = plain.eval()(frames * 2 - 1)
    found = backbone.positions(frames)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_the_packaged_file_and_safetensors_load_as_local_files_too(tmp_path: Path) -> None:
    packaged = weights.packaged_file(I3D)
    loaded = weights.find_weights(I3D, str(packaged), None)
    assert loaded.name == "i3d-kinetics-400.ckpt"
    assert tensors_digest(loaded.tensors()) == I3D.weights.tensors_sha256
    saved = tmp_path / "mine.safetensors"
    save_file(loaded.tensors(), saved)
    again = weights.find_weights(I3D, str(saved), file_sha256(saved))
    assert tensors_digest(again.tensors()) == I3D.weights.tensors_sha256


@pytest.mark.parametrize("wrapped", ["state_dict", "model_state"])
def test_a_state_inside_a_training_checkpoint_is_found(tmp_path: Path, wrapped: str) -> None:
    path = tmp_path / "training.pyth"
    torch.save({wrapped: {"module.a": torch.arange(3.0)}, "epoch": 7, "cfg": "text"}, path)
    assert [(name, value.tolist()) for name, value in read_torch(path).items()] == [("a", [0.0, 1.0, 2.0])]


def test_a_local_file_must_be_the_one_that_its_digest_names(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(2)}, path)
    digest = file_sha256(path)
    for spec in (I3D, BACKBONES["s3d"]):
        with pytest.raises(SignloomError, match=rf"sha256 is {digest}, not {spec.weights.sha256}"):
            weights.find_weights(spec, str(path), None)
    with pytest.raises(SignloomError, match=f"sha256 is {digest}, and no digest of i3d_r50 is known"):
        weights.find_weights(BACKBONES["i3d_r50"], str(path), None)
    with pytest.raises(SignloomError, match="not " + "0" * 64):
        weights.find_weights(I3D, str(path), "0" * 64)
    with pytest.raises(ValueError, match=r"should match pattern '\^\[0-9a-f\]\{64\}\$'"):
        section(ClipFeaturesParams, weights=str(path), weights_sha256=digest[:8])
    assert weights.find_weights(I3D, str(path), digest).tensors()["a"].tolist() == [0, 0]
    with pytest.raises(SignloomError, match=r"nowhere\.pt: no such file"):
        weights.find_weights(I3D, str(tmp_path / "nowhere.pt"), digest)


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_file_that_is_no_weights_at_all_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"<html>not found</html>\n" * 40)
    with pytest.raises(SignloomError, match=re.escape(name)) as caught:
        weights.find_weights(I3D, str(path), file_sha256(path)).tensors()
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused_by_name() -> None:
    state = public_form(build("i3d", 1), seed=2)
    del state["Mixed_4d.b2a.conv3d.weight"]
    with pytest.raises(SignloomError, match=r"mine\.pt does not fit I3d: .*Mixed_4d\.b2a\.conv3d\.weight"):
        fill(build("i3d", 1), state, "mine.pt")
