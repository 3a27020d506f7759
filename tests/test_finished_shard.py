"""A shard whose list has changed computes its new clips alone, to the bytes of a build from nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json

from signloom.features import finished_shard
from signloom.features.clip import clip_features as library
from tests.videos import write_video
from workflow_scripts import clip_features

SMALL = {"weights": "random", "resize": 34, "crop": 32, "batch_size": 4, "mode": "windowed"}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    return {
        name: write_video(folder / f"{name}.mp4", 18 + 4 * seed, seed, 25) for seed, name in enumerate("abcd")
    }


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the clips that a network has read, in order."""
    found: list[str] = []
    plain = library.plain_frames

    def noted(clip, params):  # type: ignore[no-untyped-def]
        found.append(clip.task.clip_id)
        return plain(clip, params)

    monkeypatch.setattr(library.write_clip_shard, "__defaults__", (noted,))
    return found


def build(
    folder: Path,
    clips: dict[str, Path],
    hashes: dict[str, str] | None = None,
    code: str | None = "1",
    **changes: object,
) -> list[bytes]:
    folder.mkdir(exist_ok=True)
    table = pd.DataFrame({"clip_id": list(clips), "video_path": list(clips.values())})
    contents = [(hashes or {}).get(name, name) for name in clips]
    table.assign(start_s="", end_s="", video_hash=contents).to_csv(folder / "0.csv", index=False)
    for name in ("0.npy", "0.parquet"):
        (folder / name).unlink(missing_ok=True)  # as both engines do
    sections = {"clip_features": SMALL | changes, "dataset": {"frame_rate": None}}
    given = json.loads(params_json(sections)) | {"origin": str(contents)} | ({"code": code} if code else {})
    outputs = ["--output", f"npy={folder}/0.npy", f"parquet={folder}/0.parquet"]
    line = ["--input", f"shard={folder}/0.csv", *outputs, "--params", json.dumps(given)]
    assert clip_features.main([*line, "--scratch", f"{folder}/scratch"]) == 0
    return [(folder / name).read_bytes() for name in ("0.npy", "0.parquet")]


def some(videos: dict[str, Path], names: str) -> dict[str, Path]:
    return {name: videos[name] for name in names}


def test_new_clips_alone_are_computed_and_the_bytes_are_those_of_a_build_from_nothing(
    videos: dict[str, Path], computed: list[str], tmp_path: Path
) -> None:
    build(tmp_path / "grown", some(videos, "abd"))
    computed.clear()
    grown = build(tmp_path / "grown", some(videos, "bcd"))
    assert computed == ["c"]
    assert grown == build(tmp_path / "whole", some(videos, "bcd"))
    # what was taken over is kept again
    computed.clear()
    assert build(tmp_path / "grown", some(videos, "bcd")) == grown
    assert computed == []


def test_a_clip_with_other_content_or_settings_is_computed_again(
    videos: dict[str, Path], computed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = some(videos, "ab")
    build(tmp_path, clips)
    computed.clear()
    build(tmp_path, clips, {"a": "other"})
    assert computed == ["a"]
    for changes in ({"code": "2"}, {"batch_size": 8}, {"code": None}):
        computed.clear()
        build(tmp_path, clips, {"a": "other"}, **changes)  # type: ignore[arg-type]
        assert computed == ["a", "b"], changes
    computed.clear()
    monkeypatch.setattr(finished_shard, "version", lambda name: "9")
    build(tmp_path, clips, {"a": "other"}, batch_size=8)
    assert computed == ["a", "b"]


def test_rows_that_changed_since_are_not_taken_over(
    videos: dict[str, Path], computed: list[str], tmp_path: Path
) -> None:
    first = build(tmp_path, some(videos, "ab"))
    with (tmp_path / "0.npy").open("r+b") as file:  # in place, so in what is kept too
        file.seek(-4, 2)
        file.write(np.float32(7).tobytes())
    computed.clear()
    assert build(tmp_path, some(videos, "ab")) == first
    assert computed == ["a", "b"]


def test_a_clip_that_could_not_be_read_is_tried_again(
    videos: dict[str, Path], computed: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    clips = some(videos, "a") | {"bad": tmp_path / "bad.mp4"}
    build(tmp_path, clips)
    computed.clear()
    build(tmp_path, clips)
    assert computed == ["bad"]


def test_a_disk_without_hard_links_and_a_damaged_table_keep_nothing(
    videos: dict[str, Path], computed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(tmp_path, some(videos, "a"))
    (table,) = (tmp_path / "scratch/clip_features/kept").glob("*.json")
    table.write_text("{")
    monkeypatch.setattr(finished_shard.os, "link", raise_os_error)
    for _ in range(2):
        computed.clear()
        assert build(tmp_path, some(videos, "a")) == first
        assert computed == ["a"]


def raise_os_error(*paths: Path) -> None:
    raise OSError(95, "no hard links here")
