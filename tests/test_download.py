"""Weights are downloaded once, checked, resumed where they broke off, and asked for in one line."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from signloom.errors import SignloomError
from signloom.features.backbones import download as download_module
from signloom.features.backbones import weights
from signloom.features.backbones.download import download
from signloom.features.backbones.registry import BACKBONES, BackboneSpec
from signloom.files import file_sha256

pytestmark = pytest.mark.usefixtures("weights_cache")

CONTENT = np.random.default_rng(5).bytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
I3D = BACKBONES["i3d"]


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
    with pytest.raises(SignloomError, match=r"cannot be fetched .* the data so far is kept"):
        fetched(server, tmp_path / "weights.bin")
    assert (tmp_path / "weights.bin.part").read_bytes() == CONTENT[:1_000_000]
    assert len(server.asked) == 5


def test_a_file_that_the_server_does_not_have_is_asked_for_once(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(SignloomError, match=r"cannot be fetched \(Not Found\).* as weights\.bin$"):
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


def test_a_folder_without_locks_does_for_several_readers(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    target = tmp_path / "weights.bin"
    others = tmp_path / "weights.bin.part"
    others.write_bytes(b"of a reader that is at work")
    assert fetched(server, target) == SHA
    assert target.read_bytes() == CONTENT and others.exists()
    target.unlink()
    server.cut_after = [1_000_000, *[0] * 9]
    with pytest.raises(SignloomError, match=r"as weights\.bin$"):  # nothing is said to be kept
        fetched(server, target)
    assert [*tmp_path.glob("*.part")] == [others], "what nobody completes would stay for ever"


def test_public_weights_are_downloaded_checked_and_cached(
    server: Server, weights_cache: Path, tmp_path: Path
) -> None:
    torch.save({"a": torch.arange(4.0)}, tmp_path / "public.pth")
    spec = downloadable(server, (tmp_path / "public.pth").read_bytes())
    for _ in range(2):
        loaded = weights.find_weights(spec, "pretrained", None)
        assert loaded.name == "pretrained"
        assert loaded.sha256 == file_sha256(tmp_path / "public.pth")
        assert loaded.tensors()["a"].tolist() == [0, 1, 2, 3]
    assert server.asked == [None]
    assert (weights_cache / "s3d-d76dad2f.pth").exists()


def test_a_file_put_into_the_cache_by_hand_needs_no_network(weights_cache: Path, tmp_path: Path) -> None:
    torch.save({"a": torch.arange(4.0)}, tmp_path / "public.pth")
    spec = downloadable(Server(url=UNREACHABLE), (tmp_path / "public.pth").read_bytes())
    weights_cache.mkdir(parents=True)
    shutil.copy(tmp_path / "public.pth", weights_cache / spec.weights.file)
    assert weights.find_weights(spec, "pretrained", None).tensors()["a"].tolist() == [0, 1, 2, 3]


# port 9 (discard) of the loopback interface: nothing listens there
UNREACHABLE = "http://127.0.0.1:9/s3d-d76dad2f.pth"


def test_without_a_network_one_line_says_what_to_fetch_and_where_to_put_it(
    weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    spec = downloadable(Server(url=UNREACHABLE), b"any")
    with pytest.raises(SignloomError) as caught:
        weights.find_weights(spec, "pretrained", None)
    message = str(caught.value)
    assert "\n" not in message
    assert UNREACHABLE in message and str(weights_cache) in message and "s3d-d76dad2f.pth" in message


@pytest.mark.parametrize("name", ["i3d_r50", "videomae"])
def test_public_weights_without_a_known_digest_ask_for_a_file_and_its_digest(name: str) -> None:
    with pytest.raises(SignloomError, match=r"no digest .* Fetch https://.*weights_sha256"):
        weights.find_weights(BACKBONES[name], "pretrained", None)


def test_a_right_file_is_taken_from_a_folder_that_nobody_may_write_into(
    weights_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = weights_cache / "any.pth"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"right")
    digest = hashlib.sha256(b"right").hexdigest()

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(download_module, "_locked_part", refused)
    assert download(UNREACHABLE, target, digest[:8]) == digest
    with pytest.raises(PermissionError):
        download(UNREACHABLE, target, "0" * 8)
