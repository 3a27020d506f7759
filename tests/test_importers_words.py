"""Isolated signs that are no table: WLASL and MS-ASL in JSON, and folders named after signs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from form_stages import read_corpus

from signloom.dataset.forms.video_files import VideoFiles
from signloom.dataset.importers import load_table
from signloom.errors import SignloomError
from tests.form_files import instance, msasl, values, wlasl, write, write_videos
from tests.videos import write_frames


def test_wlasl_counts_frames_from_one_and_keeps_the_zeros_of_its_ids(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "v", "00335.mp4", "69241.mp4", "07070.mp4", "00336.mp4", seconds=3)
    read = read_corpus(tmp_path, "wlasl", wlasl(tmp_path / "t"), videos)
    assert values(read.clips, "clip_id", "sentence", "gloss", "signer_id") == [
        ["00335", "book", "book", "118"],
        # frames 1201 to 1250 of the source: the video of three seconds is this cut already
        ["00336", "apple tree", "apple_tree", "118"],
        ["07070@1-", "book", "book", "118"],
        ["69241@1-2", "book", "book", "118"],
    ]
    assert read.splits == {"00335": "train", "00336": "test", "07070@1-": "val", "69241@1-2": "train"}
    assert values(read.rejects, "row", "reason") == [["WLASL_v03.json:gone", "missing"]]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"instances": [instance("1") | {"frame_end": None}]},
            r"\[0\]\.instances\[0\]\.frame_end: .*found None",
        ),
        (
            {"instances": [instance("1") | {"fps": 0}]},
            r"\[0\]\.instances\[0\]\.fps: .*greater than 0, found 0",
        ),
        ({"instances": [instance("1", 10**400)]}, r"\[0\]\.instances\[0\]\.frame_start: .*, found 1000.*"),
        ({"instances": ["1"]}, r"\[0\]\.instances\[0\]: .*, found '1'"),
        ({"instances": 3}, r"\[0\]\.instances: .*, found 3"),
        ({}, r"\[0\]\.instances is missing"),
        ({"instances": [], "gloss": None}, r"\[0\]\.gloss: .*, found None"),
    ],
)
def test_an_instance_of_wlasl_with_a_wrong_value_is_named_with_its_place(
    tmp_path: Path, entry: dict[str, Any], said: str
) -> None:
    write(tmp_path, w__json=json.dumps([{"gloss": "book"} | entry]))
    with pytest.raises(SignloomError, match=rf"w\.json: {said}$") as error:
        load_table("wlasl", tmp_path / "w.json", tmp_path)
    assert "\n" not in str(error.value)


def test_a_number_may_be_a_gloss(tmp_path: Path) -> None:
    write(tmp_path, w__json=json.dumps([{"gloss": 7, "instances": [instance("1")]}]))
    assert load_table("wlasl", tmp_path / "w.json", tmp_path)["gloss"].tolist() == ["7"]


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "{}", '[{"gloss": "a'])
def test_a_file_that_is_no_list_in_json_is_one_clear_error(tmp_path: Path, text: str) -> None:
    write(tmp_path, w__json=text)
    with pytest.raises(SignloomError, match=r"w\.json: (not readable as JSON|the file): ") as error:
        load_table("wlasl", tmp_path / "w.json", tmp_path)
    assert "\n" not in str(error.value)


def test_msasl_finds_the_video_by_the_id_in_its_address(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "v", "X-_1.mp4", "Y2.mkv", "Z3.mp4", seconds=3)
    read = read_corpus(tmp_path, "msasl", msasl(tmp_path / "t"), videos)
    assert values(read.clips, "clip_id", "sentence", "gloss", "signer_id") == [
        ["X-_1@0.0-1.2", "bad", "bad", "11"],
        ["Y2@1-2.0", "ice cream", "ice_cream", "11"],
        ["Z3@0.0-1.2", "bad", "bad", "11"],
    ]
    assert list(read.splits.values()) == ["train", "train", "val"]
    assert read.rejects["reason"].tolist() == ["missing"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"url": "x"}, r"\[0\]\.start_time is missing"),
        ({"url": None}, r"\[0\]\.url: .*, found None"),
        ({"url": "http://[x"}, r"\[0\]\.url: .*, found 'http://\[x'"),
    ],
)
def test_an_entry_of_msasl_with_a_wrong_value_is_named_with_its_place(
    tmp_path: Path, entry: dict[str, Any], said: str
) -> None:
    table = msasl(tmp_path)
    write(table, MSASL_val__json=json.dumps([entry]))
    with pytest.raises(SignloomError, match=rf"MSASL_val\.json: {said}$"):
        load_table("msasl", table, tmp_path)


def test_a_folder_for_each_sign_names_its_clips(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "gr\u00fcn")
    videos = write_videos(tmp_path / "v", f"{apart}/1.mp4", "guten Tag/a.gif.mp4", "guten Tag/b.MOV")
    write_frames(videos / "guten Tag/c")
    write(videos / "guten Tag", notes__txt="x")
    read = read_corpus(tmp_path, "folders", videos, videos, mode="clip")
    assert values(read.clips, "clip_id", "sentence", "gloss") == [
        [f"{apart}/1", "gr\u00fcn", "gr\u00fcn"],
        ["guten Tag/a.gif", "guten Tag", "guten_Tag"],
        ["guten Tag/b", "guten Tag", "guten_Tag"],
        ["guten Tag/c", "guten Tag", "guten_Tag"],
    ]


def test_signs_and_films_that_folders_leave_out_are_said(
    new_project: Path, said: Callable[..., tuple[int, str, str]]
) -> None:
    names = [f"{sign}/{number}.mp4" for sign in ("book", "cat") for number in range(4)]
    videos = write_videos(new_project / "data/mine", *names, "cat/session/9.mp4")
    for name in ("dog", "@eaDir", "cat/@eaDir"):  # as disks of a network make
        (videos / name).mkdir()
    for name in ("dog/1.webp", "book/2.VOB", "book/notes.txt"):
        (videos / name).write_bytes(b"x")
    warnings: list[str] = []
    rows = load_table("folders", videos, videos, warnings=warnings)
    assert rows["video"].tolist() == names
    sign = f"1 folder of a sign holds no clip, so the sign is left out; first {videos / 'dog'}"
    films = f"3 films or folders are left out, first {videos / 'book/2.VOB'}; make it a video such as .mp4"
    assert warnings[0] == sign and warnings[1].startswith(films) and len(warnings) == 2
    code, out, _ = said("init", "data/mine")
    assert code == 0
    assert "not used  1 folder of a sign holds no clip, so the sign is left out; first data/mine/dog" in out
    _, out, _ = said("check", "mine")
    assert "look at: 1 folder of a sign holds no clip" in out and "look at: 3 films or folders" in out


def test_folders_outside_the_videos_or_without_clips_are_refused(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "v", "a.mp4")
    with pytest.raises(SignloomError, match="holds no subfolder with videos"):
        load_table("folders", videos, videos)
    with pytest.raises(SignloomError, match=r"expects the folder of the signs, which is dataset\.videos"):
        load_table("folders", tmp_path, videos)


def test_hidden_folders_and_files_are_neither_signs_nor_clips(tmp_path: Path) -> None:
    names = ("A/0.mp4", "B/1.mp4", ".trash/0.mp4", "A/.2.mp4")
    videos = write_videos(tmp_path / "v", *names)
    (videos / "B/.thumbs").mkdir()
    (videos / "B/.thumbs/0.jpg").write_bytes(b"")
    rows = load_table("folders", videos, videos)
    assert rows["video"].tolist() == ["A/0.mp4", "B/1.mp4"]
    assert VideoFiles(videos).find("0") == "A/0.mp4"
