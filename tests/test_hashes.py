"""Content hashes of videos: read again only where a file has changed, and then always."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from signloom.dataset import hashes
from signloom.dataset.hashes import HashCache
from signloom.files import file_sha256
from tests.videos import write_video


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"old")

    def slow(path: Path) -> str:
        digest = file_sha256(path)
        path.write_bytes(b"newer")
        return digest

    store = HashCache(tmp_path / "hashes.json")
    with monkeypatch.context() as patch:
        patch.setattr(hashes, "file_sha256", slow)
        old = store.hash_all([video])
    assert not store.hold()
    again = HashCache(tmp_path / "hashes.json")
    assert again.hash_all([video]) == {video: hashlib.sha256(b"newer").hexdigest()} != old
    assert again.hold()


def test_changed_content_is_noticed_under_an_old_time_stamp(tmp_path: Path) -> None:
    import os

    video = write_video(tmp_path / "videos/a.mp4")
    before = video.stat()
    first = HashCache(tmp_path / "hashes.json").hash_all([video])
    assert HashCache(tmp_path / "hashes.json").hash_all([video]) == first
    data = bytearray(video.read_bytes())
    data[-1] ^= 1
    video.write_bytes(bytes(data))
    os.utime(video, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert HashCache(tmp_path / "hashes.json").hash_all([video]) != first


@pytest.mark.parametrize("damaged", [b"", b"\xff", b"[]", b"null", b'{"a": 1}', b'{"a": [1,'])
def test_a_damaged_store_is_built_again(tmp_path: Path, damaged: bytes) -> None:
    video, store = tmp_path / "a.mp4", tmp_path / "hashes.json"
    video.write_bytes(b"new")
    store.write_bytes(damaged)
    assert HashCache(store).hash_all([video]) == {video: hashlib.sha256(b"new").hexdigest()}
    assert HashCache(store).hash_all([video]) == {video: hashlib.sha256(b"new").hexdigest()}
