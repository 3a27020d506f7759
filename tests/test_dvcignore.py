"""Which files of a folder of videos DVC looks at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.repo import Repo

from signloom.dataset.landmark_sources import SUFFIXES
from signloom.dataset.probe import FRAME_SUFFIXES, VIDEO_SUFFIXES
from signloom.dataset.row_files import ROW_SUFFIXES

NAMED = sorted({*VIDEO_SUFFIXES, *FRAME_SUFFIXES, *ROW_SUFFIXES, *SUFFIXES, ".eaf", ".srt", ".vtt"})


@pytest.fixture
def repo(root: Path, tmp_path: Path) -> Iterator[Repo]:
    """An empty DVC repository that ignores what this project ignores."""
    shutil.copy(root / ".dvcignore", tmp_path)
    Repo.init(str(tmp_path), no_scm=True).close()
    with Repo(str(tmp_path)) as opened:
        yield opened


def seen(repo: Repo, name: str) -> bool:
    """Write the file `name` and return whether DVC looks at it."""
    path = Path(repo.root_dir) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path.name in {Path(found).name for found in repo.dvcignore.find(repo.fs, repo.root_dir)}


@pytest.mark.parametrize("suffix", [*NAMED, *(suffix.upper() for suffix in NAMED)])
@pytest.mark.parametrize("folder", ["data/demo/videos", "data/mine/videos/anna/0001"])
def test_dvc_looks_at_every_kind_of_file_that_a_table_can_name(repo: Repo, folder: str, suffix: str) -> None:
    assert seen(repo, f"{folder}/clip{suffix}")


@pytest.mark.parametrize("name", [".DS_Store", "notes.docx", "clip.mp4.part", "._clip.mp4", "Thumbs.db"])
@pytest.mark.parametrize("folder", ["data/demo/videos", "data/mine/videos/anna/0001"])
def test_a_stray_file_in_a_folder_of_videos_is_nothing_to_dvc(repo: Repo, folder: str, name: str) -> None:
    assert not seen(repo, f"{folder}/{name}")


@pytest.mark.parametrize("name", ["data/mine/clips.txt", "data/mine/Metadata.xlsx", "data/mine/videos.tsv"])
def test_annotation_files_beside_the_folder_are_seen(repo: Repo, name: str) -> None:
    assert seen(repo, name)
