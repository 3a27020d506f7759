"""The search for what is left of withdrawn clips, whatever holds it."""

from __future__ import annotations

import base64
import gzip
import io
import os
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkouts import change_params
from row_project import CLIPS
from withdrawals import TODAY, hash_of, picture_of, run, write_built_project

from signloom.dataset.hashes import HashCache
from signloom.dataset.withdrawn import add_withdrawn
from signloom.withdrawal.contents import contents

RNG = np.random.default_rng(0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_built_project(tmp_path, monkeypatch)


def as_zip(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", data)
    return packed.getvalue()


def as_parquet(data: bytes) -> bytes:
    packed = io.BytesIO()
    pd.DataFrame({"n": [1], "cells": [np.frombuffer(data, np.float32)]}).to_parquet(packed)
    return packed.getvalue()


PLANTED = {
    "a row": lambda row: row,
    "in an archive of archives": lambda row: as_zip(as_zip(row)),
    "compressed": gzip.compress,
    "in a table": as_parquet,
    "in a page": lambda row: b'<img src="data:image/webp;base64,' + base64.b64encode(bytes(64) + row) + b'">',
}


@pytest.mark.parametrize("how", PLANTED)
@pytest.mark.parametrize("place", ["build/cv_trial.bin", ".snakemake/x", "metrics/y", "notes.txt"])
def test_a_planted_row_is_found_by_its_content(
    project: Path, how: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = np.load(f"data/own/rows/{CLIPS[4]}.npy")[5]
    other = np.load(f"data/own/rows/{CLIPS[0]}.npy")[5]
    run("s1", "--yes")
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_bytes(PLANTED[how](other.tobytes()))
    run("--verify")
    Path(place).write_bytes(PLANTED[how](row.tobytes()))
    run("--verify", code=1)
    assert f"{place}: rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (lambda: f"see {CLIPS[4]}.", f"clip {CLIPS[4]}"),
        (lambda: hash_of(CLIPS[4]), "video hash"),
        (lambda: hash_of(CLIPS[4])[:12], "video hash"),
        (lambda: f'<img src="data:image/webp;base64,{picture_of(CLIPS[4])}">', "rows"),
    ],
)
def test_planted_names_hashes_and_pictures_are_found(
    project: Path, text: object, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("s1", "--yes")
    Path("left.txt").write_text(text())  # type: ignore[operator]
    run("--verify", code=1)
    assert f"left.txt: {what}" in capsys.readouterr().err


@pytest.fixture
def withdrawn(project: Path) -> Path:
    """The project after the withdrawal of signer s1, with a folder for what is planted."""
    run("s1", "--yes")
    (project / "build").mkdir(exist_ok=True)
    return project


def left(capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    """What the search says."""
    capsys.readouterr()
    run("--verify", code=code)
    told = capsys.readouterr()
    return told.out + told.err


def test_links_to_other_folders_are_searched_and_emptied(
    project: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (project / "build/pose_features").rename(disk / "pose_features")
    (project / "build/pose_features").symlink_to(disk / "pose_features")
    run("s1", "--yes")
    assert sorted(path.name for path in (disk / "pose_features").iterdir()) == ["01.npy", "01.parquet"]
    (disk / "copy.csv").write_text(f"clip_id\n{CLIPS[4]}\n")
    (disk / "round").symlink_to(disk)
    (project / "notes").symlink_to(disk)
    assert f"notes/copy.csv: clip {CLIPS[4]}" in left(capsys)


def test_videos_of_other_corpora_are_not_opened_and_links_are_the_files_they_lead_to(
    withdrawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = withdrawn / f"data/two/videos/{CLIPS[4]}.mp4"
    other.parent.mkdir(parents=True)
    other.write_text(CLIPS[4])
    Path("config/presets/two.yaml").write_text("dataset: {videos: data/two/videos}\n")
    subprocess.run(["git", "init", "-q"], check=True)
    Path("data/own/notes.txt").write_text(CLIPS[4])
    subprocess.run(["git", "add", "data/own/notes.txt"], check=True)
    Path("corpus").symlink_to("data")
    said = left(capsys, code=0)
    assert "own/notes.txt: clip" in said and "two" not in said


def test_a_corpus_outside_the_checkout_has_no_history_there(
    project: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path_factory.mktemp("corpus") / "own"
    Path("data/own").rename(place)
    change_params(project, {"dataset": {"table": f"{place}/clips.csv", "videos": f"{place}/rows"}})
    subprocess.run(["git", "init", "-q"], check=True)
    run("s1", "--yes")
    assert "nothing is left" in left(capsys, code=0)


def test_names_in_arrays_are_found(withdrawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(withdrawn / "build/stats.npz", clips=np.array([CLIPS[4], "other"]), mean=np.zeros(3))
    assert f"build/stats.npz: clip {CLIPS[4]}" in left(capsys)


def test_a_file_with_the_name_of_a_clip_is_found(withdrawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = withdrawn / f"out/{CLIPS[4]}.pose"
    place.parent.mkdir(parents=True)
    place.write_bytes(bytes(99))
    assert f"out/{CLIPS[4]}.pose: clip {CLIPS[4]}" in left(capsys)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffclip_id,gloss\ns/1,A\n",
        "gloss;clip_id\nA;s/1\n",
        '"clip_id","gloss"\n"s/1","A"\n',
        "gloss\tclip_id\nA\ts/1\n",
        "\ufeffsep=;\r\ngloss;clip_id\r\nA;s/1\r\n",
        '[{"gloss": "A", "clip_id": "s/1"}]',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_short_id_is_found_in_tables_however_they_are_written(
    tmp_path: Path, text: str, encoding: str
) -> None:
    file = tmp_path / "table"
    file.write_bytes(text.encode(encoding))
    assert "s/1" in {clip for content in contents(file) for clip in content.clips}


def test_an_archive_is_searched_as_far_as_it_can_be_read_and_named(
    withdrawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(f"{CLIPS[4]} {RNG.bytes(20).hex()}\n" for _ in range(400)).encode()
    packed = gzip.compress(text)
    Path("build/cut.gz").write_bytes(packed[: len(packed) // 2])
    broken = io.BytesIO()
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("first", b"damaged by and by")
        archive.writestr("second", zlib.compress(b"") + text)
    Path("build/broken.zip").write_bytes(broken.getvalue().replace(b"by and by", b"by AND by", 1))
    Path("build/nothing.gz").write_bytes(gzip.compress(RNG.bytes(900))[:500])
    said = left(capsys)
    assert "build/cut.gz: cannot be read to its end: Compressed file ended" in said
    for name in ("cut.gz", "broken.zip"):
        assert any(f"build/{name}: " in line and f"clip {CLIPS[4]}" in line for line in said.splitlines())
    assert "aside     build/nothing.gz: cannot be read to its end" in said


def test_folders_of_frames_and_linked_videos_that_are_still_there_are_counted(
    project: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, disk = Path("data/own/rows"), tmp_path_factory.mktemp("disk")
    listed = pd.DataFrame({"clip_id": ["x/a", "x/b"], "signer_id": "x", "video_hash": ""})
    (disk / "frames").mkdir()
    for number in range(3):
        (disk / f"frames/{number}.png").write_bytes(bytes([number]))
    (disk / "b.mp4").write_bytes(b"b")
    (videos / "linked").symlink_to(disk)
    hashes = HashCache(disk / "hashes.json").hash_all([disk / "frames", disk / "b.mp4"])
    add_withdrawn(Path("data/own/withdrawn.csv"), listed.assign(video_hash=[*hashes.values()]), [], TODAY)
    said = left(capsys, code=0)
    assert "2 source videos are still in data/own/rows; first: data/own/rows/linked/b.mp4" in said


def test_git_that_fails_is_said_before_anything_is_removed(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    before = sorted(path for path in project.rglob("*"))
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("programs")))
    run("s1", "--yes", code=2)
    assert "in git, which must answer first: git is not installed" in capsys.readouterr().err
    program = Path(os.environ["PATH"], "git")
    # as in a container, where the project's folder is somebody else's
    program.write_text("#!/bin/sh\necho fatal: detected dubious ownership in repository >&2; exit 128\n")
    program.chmod(0o755)
    run("s1", "--yes", code=2)
    assert "must answer first: fatal: detected dubious ownership" in capsys.readouterr().err
    assert sorted(path for path in project.rglob("*")) == before


def test_a_file_in_git_whose_name_is_no_utf8_does_not_stop_the_search(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    odd = os.fsencode(project) + b"/note_\xe9.txt"
    with open(odd, "w") as file:  # noqa: PTH123, a name that is no text
        file.write("nothing")
    subprocess.run([b"git", b"add", odd], check=True)
    run("s1", "--yes")
    assert "nothing is left" in left(capsys, code=0)
