"""The manifest opens no video again whose content it knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from signloom.dataset import probe, probes
from signloom.dataset.hashes import HashCache
from signloom.dataset.manifest import Manifest, build_manifest
from signloom.dataset.probes import Probes
from signloom.dataset.sources import read_sources
from signloom.media import open_media
from signloom.params.dataset import ManifestParams
from tests.manifests import dataset_of
from tests.videos import write_frames, write_video

TABLE = "video,sentence_id,sentence,start_s,end_s\na.mp4,1,One.,,\nb.mp4,2,Two.,0.1,0.3\nc.mp4,3,Three.,,\n"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos that are opened."""
    names: list[str] = []

    @contextmanager
    def noted(path: Path, *options: Any) -> Iterator[Any]:
        names.append(path.name)
        with open_media(path, *options) as container:
            yield container

    monkeypatch.setattr(probe, "open_media", noted)
    return names


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for seed, name in enumerate("ab"):
        write_video(tmp_path / f"videos/{name}.mp4", seed=seed)
    (tmp_path / "videos/c.mp4").write_text("no video")
    return tmp_path


def manifest_of(corpus: Path, table: str = TABLE, **more: Any) -> Manifest:
    (corpus / "clips.csv").write_text(table, "utf-8")
    dataset = dataset_of(corpus / "clips.csv", corpus / "videos", **more)
    hashes, known = HashCache(corpus / "hashes.json"), Probes(corpus / "probes.json")
    rows = read_sources(dataset, hashes)
    manifest = build_manifest(rows, dataset, ManifestParams(max_reject_ratio=1.0), hashes, known)
    known.save()
    return manifest


def test_known_videos_are_not_opened_and_the_manifest_is_the_same(corpus: Path, opened: list[str]) -> None:
    first = manifest_of(corpus)
    assert set(opened) == {"a.mp4", "b.mp4", "c.mp4"}
    opened.clear()
    second = manifest_of(corpus)
    pd.testing.assert_frame_equal(second.clips, first.clips)
    assert first.clips["clip_id"].tolist() == ["a", "b@0.1-0.3"]
    # an unreadable file is tried again: the disk may have failed
    assert set(opened) == {"c.mp4"}


def test_a_changed_video_and_another_cut_are_opened(corpus: Path, opened: list[str]) -> None:
    manifest_of(corpus)
    write_video(corpus / "videos/a.mp4", seed=7)
    opened.clear()
    manifest = manifest_of(corpus, TABLE.replace("0.1,0.3", "0.1,0.2"))
    assert set(opened) == {"a.mp4", "b.mp4", "c.mp4"}
    assert manifest.clips["end_s"].tolist()[1] == 0.2


def test_a_renamed_video_is_not_opened_unless_its_suffix_changes(corpus: Path, opened: list[str]) -> None:
    manifest_of(corpus)
    (corpus / "videos/a.mp4").rename(corpus / "videos/d.mp4")
    (corpus / "videos/b.mp4").rename(corpus / "videos/b.mkv")
    opened.clear()
    manifest_of(corpus, TABLE.replace("a.mp4", "d.mp4").replace("b.mp4", "b.mkv"))
    assert set(opened) == {"b.mkv", "c.mp4"}


@pytest.mark.parametrize("damaged", ['{"made_by": ', "\xff", "[]", "null", '{"made_by": 1}', ""])
def test_a_store_that_is_damaged_or_of_another_pyav_counts_as_empty(
    corpus: Path, opened: list[str], damaged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest_of(corpus)
    if damaged:
        (corpus / "probes.json").write_text(damaged, "latin-1")
    else:
        monkeypatch.setattr(probes, "version", lambda name: "0")
    opened.clear()
    manifest_of(corpus)
    assert set(opened) == {"a.mp4", "b.mp4", "c.mp4"}


def test_the_length_of_a_folder_of_pictures_follows_its_rate(tmp_path: Path) -> None:
    write_frames(tmp_path / "videos/a", count=50)
    table = "video,sentence_id,sentence,start_s,end_s\na,1,One.,3.0,4.0\na,1,One.,0.0,1.0\n"
    assert len(manifest_of(tmp_path, table).clips) == 1  # 50 frames at 25 a second are 2 s
    assert len(manifest_of(tmp_path, table, frame_rate=10.0).clips) == 2


def test_answers_that_nobody_asks_for_are_forgotten(corpus: Path, opened: list[str]) -> None:
    manifest_of(corpus)
    manifest_of(corpus, TABLE.replace("a.mp4,1,One.,,\n", ""))
    opened.clear()
    manifest_of(corpus)
    assert set(opened) == {"a.mp4", "c.mp4"}
