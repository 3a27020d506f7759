"""The contact sheet: which clips are shown, which of their frames, and what is said of each."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from signloom.errors import SignloomError
from signloom.report import contact_sheet
from tests.report_inputs import Page, build


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("sheet") / "build"
    build(where, ("train", "train", "val", "test"), pictures=True)
    return where


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report/index.html").read_text("utf-8")


def videos(folder: Path) -> contact_sheet.Videos:
    lists = ([folder / name] for name in ("landmarks.npy", "landmarks.parquet", "shard.csv"))
    return contact_sheet.read_videos(contact_sheet.VideosFiles(*lists, folder / "manifest.parquet"))


def many(**columns: list[object]) -> pd.DataFrame:
    table = pd.DataFrame(columns)
    return table.assign(clip_id=[f"c{n:03d}" for n in range(len(table))], sentence="x")


def test_the_sheet_spreads_over_splits_and_signers() -> None:
    clips = many(
        split=["train"] * 60 + ["val"] * 10 + ["test"] * 10,
        signer_id=[f"s{n % 4}" for n in range(60)] + ["v"] * 10 + ["t"] * 10,
        sentence_id=[n % 15 for n in range(76)] + [-1] * 4,
    )
    chosen = contact_sheet.choose_kept(clips)
    assert len({row["clip_id"] for row in chosen}) == len(chosen) == 12
    assert {row["kind"] for row in chosen} == {"train", "val", "test", "not signing"}
    assert {row["signer_id"] for row in chosen} == {"s0", "s1", "s2", "s3", "v", "t"}
    assert len({row["sentence_id"] for row in chosen}) >= 9
    assert chosen == contact_sheet.choose_kept(clips.sample(frac=1, random_state=3))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_few_clips_are_all_shown(count: int) -> None:
    clips = many(split=["train"] * count, sentence_id=[1] * count)
    assert [row["clip_id"] for row in contact_sheet.choose_kept(clips)] == [f"c{n:03d}" for n in range(count)]


def test_of_each_reason_the_first_clip_that_can_be_seen_is_shown(folder: Path) -> None:
    rejects = pd.DataFrame(
        [
            ("clip03", "pose_features", "low_motion"),
            ("clip02", "pose_features", "low_motion"),
            ("clip01", "pose_features", "no_person"),
            ("broken", "pose_features", "no_person"),
            ("gone", "manifest", "unreadable"),
        ],
        columns=["clip_id", "stage", "reason"],
    )
    chosen = contact_sheet.choose_rejected(rejects, videos(folder))
    assert [(row["clip_id"], bool(row["seen"])) for row in chosen] == [
        ("gone", False),
        ("clip02", True),
        ("clip01", True),
    ]
    assert contact_sheet.choose_rejected(rejects.head(0), videos(folder)) == []


@pytest.mark.parametrize(
    ("parts", "row"), [([1], 0), ([1, 1, 1], 1), ([2, 1, 1, 1], 0), ([4, 1, 4, 1, 1, 4], 2), ([0, 0], 0)]
)
def test_the_frame_shown_is_the_fullest_and_of_those_the_middle_one(parts: list[int], row: int) -> None:
    found = np.arange(4)[None] < np.array(parts)[:, None]
    assert contact_sheet.fullest_row(found) == row


def test_a_tile_is_the_frame_that_its_landmarks_came_from(folder: Path, html: str) -> None:
    tiles = re.findall(
        r'base64,([^"]*)" width="60" height="40" alt="([^"]*)">\s*<p><strong><bdi>(.*?)</bdi>', html
    )
    assert len(tiles) == 13
    for code, alt, clip in tiles:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)
        # the corner, where nothing is drawn, is as grey as the frame's number says
        assert abs(int(image[1, 1, 0]) - 40 * 3) < 6
        assert alt == f"Tracked frame 4 of 6 of clip {clip}. Landmarks drawn: pose, left hand."
    assert ([clip for *_, clip in tiles][-1]) == "frozen"


def test_pictures_stand_in_the_page_itself(html: str) -> None:
    pictures = re.findall(r'<img src="([^"]*)"', html)
    assert len(pictures) == 13
    assert all(picture.startswith("data:image/webp;base64,") for picture in pictures)
    assert not re.search(r"https?:|url\((?!#)", html)


def test_the_page_says_how_its_landmarks_are_written_to_files(html: str, folder: Path) -> None:
    assert f"signloom export-landmarks --build {folder} --output FOLDER" in Page(html).text


def test_the_page_says_of_which_reasons_there_is_no_frame(html: str) -> None:
    text = Page(html).text
    assert "No frame can be shown for clips rejected as unreadable ." in text
    assert "why &lt;it&gt; is so" in html


def test_pictures_of_people_come_with_a_word_of_warning(html: str, tmp_path: Path) -> None:
    warning = "These pictures show people."
    assert warning in html
    assert warning not in build(tmp_path / "demo", videos="data/demo/videos", pictures=True)
    text = build(tmp_path / "ready")
    assert warning not in text
    assert "ready-made features, not with videos" in Page(text).text
    assert Page(text).images == []


def test_frames_of_a_cut_are_found_in_a_folder_of_another_rate(tmp_path: Path) -> None:
    build(tmp_path / "build", pictures=True)
    index, shard = tmp_path / "build/landmarks.parquet", tmp_path / "build/shard.csv"
    frames = [list(range(6, 12))] * len(pd.read_parquet(index))  # of 10 a second, from 0.6 to 1.2 s
    pd.read_parquet(index).assign(fps=10.0, frame_index=frames).to_parquet(index)
    pd.read_csv(shard).assign(start_s=0.6, end_s=1.2).to_csv(shard, index=False)
    drawn = contact_sheet.drawn_frames(videos(tmp_path / "build"), "clip00", [0, 5], 360)
    assert [int(image[1, 1, 0]) for image in drawn] == [20 * 6, 20 * 11]


def test_large_and_upright_frames_are_made_small() -> None:
    image = np.zeros((1280, 720, 3), np.uint8)
    assert contact_sheet.shrink(image, 360).shape == (360, 202, 3)
    assert contact_sheet.shrink(image[:1], 360).shape == (1, 360, 3)
    assert contact_sheet.shrink(image[:90, :60], 360).shape == (90, 60, 3)


def test_a_video_that_lost_frames_since_is_named(tmp_path: Path) -> None:
    build(tmp_path / "build", pictures=True)
    for number in range(6, 12):
        (tmp_path / f"build/videos/clip00/{number}.png").unlink()
    lost, clip = videos(tmp_path / "build"), many(split=["train"], sentence_id=[1]).assign(clip_id="clip00")
    none = pd.DataFrame(columns=["clip_id", "stage", "reason"])
    with pytest.raises(SignloomError, match=r"videos/clip00 has fewer frames than its landmarks"):
        contact_sheet.describe(lost, clip, none)
    for path in (tmp_path / "build/videos/clip00").iterdir():
        path.unlink()
    with pytest.raises(SignloomError, match=r"videos/clip00: .*; build the manifest again"):
        contact_sheet.describe(lost, clip, none)
