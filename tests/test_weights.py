"""Weights come from where they should, are the ones expected, and run nothing while they are read."""

from __future__ import annotations

import hashlib
import pickle
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from signloom.errors import SignloomError
from signloom.features.backbones import weights
from signloom.features.backbones.convert import read_arrays, read_torch, tensors_digest
from signloom.features.backbones.download import download, file_sha256
from signloom.features.backbones.i3d import Unit3d
from signloom.features.backbones.networks import Network, build, fill
from signloom.features.backbones.registry import BACKBONES, BackboneSpec, load_backbone
from signloom.params.clips import ClipFeaturesParams

CONTENT = np.random.default_rng(5).bytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
I3D = BACKBONES["i3d"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user's, and no proxy between this test and its own server."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "signloom" / "weights"


# the package


def test_the_packaged_weights_are_converted_once_and_then_read_from_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = weights.load_weights(I3D, "pretrained", None)
    assert (first.name, first.sha256) == ("pretrained", I3D.weights.sha256)
    assert len(first.tensors) == 230
    (cached,) = cache.iterdir()
    written = cached.stat().st_mtime_ns

    monkeypatch.setattr(weights, "packaged_file", lambda spec: pytest.fail("the package was read again"))
    second = weights.load_weights(I3D, "pretrained", None)
    assert cached.stat().st_mtime_ns == written
    assert tensors_digest(second.tensors) == tensors_digest(first.tensors) == I3D.weights.tensors_sha256


def test_a_cached_file_that_was_changed_or_cut_is_made_again(cache: Path) -> None:
    good = weights.load_weights(I3D, "pretrained", None).tensors
    (cached,) = cache.iterdir()
    changed = {name: value.clone() for name, value in good.items()}
    changed["logits.conv3d.bias"][7] += 1e-3
    save_file(changed, cached)
    assert tensors_digest(weights.load_weights(I3D, "pretrained", None).tensors) == I3D.weights.tensors_sha256
    assert tensors_digest(load_file(cached)) == I3D.weights.tensors_sha256
    cached.write_bytes(cached.read_bytes()[:1000])
    assert tensors_digest(weights.load_weights(I3D, "pretrained", None).tensors) == I3D.weights.tensors_sha256


def test_a_package_with_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "i3d-kinetics-400.ckpt"
    other.write_bytes(weights.packaged_file(I3D).read_bytes()[:-1] + b"x")
    monkeypatch.setattr(weights, "packaged_file", lambda spec: other)
    with pytest.raises(
        SignloomError, match=rf"sha256 is {file_sha256(other)}, expected {I3D.weights.sha256}"
    ):
        weights.load_weights(I3D, "pretrained", None)


def test_a_missing_package_is_named() -> None:
    spec = replace(I3D, weights=replace(I3D.weights, package="no_such_package"))
    with pytest.raises(SignloomError, match=r"package no-such-package .* run make setup"):
        weights.load_weights(spec, "pretrained", None)


def test_random_weights_say_so_and_read_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "packaged_file", lambda spec: pytest.fail("a file was read"))
    backbone = load_backbone(ClipFeaturesParams(weights="random"))
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
    with pytest.raises(SignloomError, match="expected a pickle of NumPy arrays alone"):
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
    params = ClipFeaturesParams(weights=str(path), weights_sha256=file_sha256(path))
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
    loaded = weights.load_weights(I3D, str(packaged), None)
    assert loaded.name == "i3d-kinetics-400.ckpt"
    assert tensors_digest(loaded.tensors) == I3D.weights.tensors_sha256
    saved = tmp_path / "mine.safetensors"
    save_file(loaded.tensors, saved)
    again = weights.load_weights(I3D, str(saved), file_sha256(saved))
    assert tensors_digest(again.tensors) == I3D.weights.tensors_sha256


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
            weights.load_weights(spec, str(path), None)
    with pytest.raises(SignloomError, match=f"sha256 is {digest}, and no digest of i3d_r50 is known"):
        weights.load_weights(BACKBONES["i3d_r50"], str(path), None)
    with pytest.raises(SignloomError, match="not " + "0" * 64):
        weights.load_weights(I3D, str(path), "0" * 64)
    with pytest.raises(SignloomError, match="expected 64 small hexadecimal digits"):
        weights.load_weights(I3D, str(path), digest[:8])
    assert weights.load_weights(I3D, str(path), digest).tensors["a"].tolist() == [0, 0]
    with pytest.raises(SignloomError, match=r"nowhere\.pt: no such file"):
        weights.load_weights(I3D, str(tmp_path / "nowhere.pt"), digest)


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_file_that_is_no_weights_at_all_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"<html>not found</html>\n" * 40)
    with pytest.raises(SignloomError, match=re.escape(name)) as caught:
        weights.load_weights(I3D, str(path), file_sha256(path))
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused_by_name() -> None:
    state = public_form(build("i3d", 1), seed=2)
    del state["Mixed_4d.b2a.conv3d.weight"]
    with pytest.raises(SignloomError, match=r"mine\.pt does not fit I3d: .*Mixed_4d\.b2a\.conv3d\.weight"):
        fill(build("i3d", 1), state, "mine.pt")


# downloads


@dataclass
class Server:
    """What a small server on the loopback interface sends, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    cut_after: list[int] = field(default_factory=list)  # bytes of the next answers before the line breaks
    ranges: bool = True
    status: int = 200
    asked: list[str | None] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.status != 200:
            handler.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start and start >= len(self.content):
            handler.send_error(416)
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body)))
        if start:
            last = len(self.content) - 1
            handler.send_header("Content-Range", f"bytes {start}-{last}/{len(self.content)}")
        handler.end_headers()
        handler.wfile.write(body[: self.cut_after.pop(0)] if self.cut_after else body)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}/weights.bin"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def fetched(server: Server, target: Path, sha256: str = SHA) -> str:
    return download(server.url, target, sha256, pause_s=0)


def test_the_right_file_arrives_and_is_fetched_once(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "new" / "weights.bin"
    assert fetched(server, target, SHA[:8]) == SHA
    assert target.read_bytes() == CONTENT
    assert fetched(server, target) == SHA
    assert server.asked == [None]
    assert not list(target.parent.glob("*.part"))


def test_a_file_with_the_wrong_hash_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    target = tmp_path / "weights.bin"
    with pytest.raises(SignloomError, match=rf"expected {SHA}; it was not kept.*weights\.bin.*{tmp_path}"):
        fetched(server, target)
    assert not target.exists() and not list(tmp_path.glob("*.part"))


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "weights.bin"
    target.write_bytes(CONTENT[:100])
    fetched(server, target)
    assert target.read_bytes() == CONTENT


def test_a_broken_connection_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cut_after = [1_200_000, 900_000]
    target = tmp_path / "weights.bin"
    assert fetched(server, target) == SHA
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1200000-", "bytes=2100000-"]


def test_a_later_run_resumes_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    target, part = tmp_path / "weights.bin", tmp_path / "weights.bin.part"
    part.write_bytes(CONTENT[:2_000_000])
    fetched(server, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == ["bytes=2000000-"]


def test_a_part_that_is_already_whole_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    target, part = tmp_path / "weights.bin", tmp_path / "weights.bin.part"
    part.write_bytes(CONTENT)
    fetched(server, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_part_of_another_version_is_thrown_away(server: Server, tmp_path: Path) -> None:
    target, part = tmp_path / "weights.bin", tmp_path / "weights.bin.part"
    part.write_bytes(b"old" * 1000)
    fetched(server, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == ["bytes=3000-", None]


def test_a_server_that_cannot_resume_sends_the_file_from_its_start(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cut_after = False, [1_500_000]
    target = tmp_path / "weights.bin"
    fetched(server, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1500000-"]


def test_a_line_that_breaks_without_a_byte_is_given_up_and_what_came_is_kept(
    server: Server, tmp_path: Path
) -> None:
    server.cut_after = [1_000_000, *[0] * 100]
    with pytest.raises(SignloomError, match=r"cannot be fetched .* what arrived so far is kept"):
        fetched(server, tmp_path / "weights.bin")
    assert (tmp_path / "weights.bin.part").read_bytes() == CONTENT[:1_000_000]
    assert len(server.asked) == 5


def test_a_file_that_the_server_does_not_have_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(SignloomError, match=r"cannot be fetched \(Not Found\)"):
        fetched(server, tmp_path / "weights.bin")
    assert len(server.asked) == 1


def test_two_readers_of_one_file_fetch_it_once(server: Server, tmp_path: Path) -> None:
    target, digests = tmp_path / "weights.bin", []
    readers = [threading.Thread(target=lambda: digests.append(fetched(server, target))) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert digests == [SHA] * 3
    assert len(server.asked) == 1


def downloadable(server: Server, content: bytes) -> BackboneSpec:
    server.content = content
    source = replace(BACKBONES["s3d"].weights, url=server.url, sha256=hashlib.sha256(content).hexdigest()[:8])
    return replace(BACKBONES["s3d"], weights=source)


def test_public_weights_are_downloaded_checked_and_cached(
    server: Server, cache: Path, tmp_path: Path
) -> None:
    torch.save({"a": torch.arange(4.0)}, tmp_path / "public.pth")
    spec = downloadable(server, (tmp_path / "public.pth").read_bytes())
    for _ in range(2):
        loaded = weights.load_weights(spec, "pretrained", None)
        assert loaded.name == "pretrained"
        assert loaded.sha256 == file_sha256(tmp_path / "public.pth")
        assert loaded.tensors["a"].tolist() == [0, 1, 2, 3]
    assert server.asked == [None]
    assert (cache / "s3d-d76dad2f.pth").exists()


def test_a_file_put_into_the_cache_by_hand_needs_no_network(cache: Path, tmp_path: Path) -> None:
    torch.save({"a": torch.arange(4.0)}, tmp_path / "public.pth")
    spec = downloadable(Server(url=UNREACHABLE), (tmp_path / "public.pth").read_bytes())
    cache.mkdir(parents=True)
    shutil.copy(tmp_path / "public.pth", cache / spec.weights.file)
    assert weights.load_weights(spec, "pretrained", None).tensors["a"].tolist() == [0, 1, 2, 3]


# port 9 (discard) of the loopback interface: nothing listens there
UNREACHABLE = "http://127.0.0.1:9/s3d-d76dad2f.pth"


def test_without_a_network_one_line_says_what_to_fetch_and_where_to_put_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signloom.features.backbones.download._ATTEMPTS", 1)
    spec = downloadable(Server(url=UNREACHABLE), b"any")
    with pytest.raises(SignloomError) as caught:
        weights.load_weights(spec, "pretrained", None)
    message = str(caught.value)
    assert "\n" not in message
    assert UNREACHABLE in message and str(cache) in message and "s3d-d76dad2f.pth" in message


@pytest.mark.parametrize("name", ["i3d_r50", "videomae"])
def test_public_weights_without_a_known_digest_ask_for_a_file_and_its_digest(name: str) -> None:
    with pytest.raises(SignloomError, match=r"no digest .* Fetch https://.*weights_sha256"):
        weights.load_weights(BACKBONES[name], "pretrained", None)
