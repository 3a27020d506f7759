"""Several people in a picture, and videos that show the other hand, are found and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from signloom.cli.check import about_people
from signloom.features.pose import people
from signloom.features.pose.faces import FaceFinder, count_large, first_company
from signloom.features.pose.hands import hand_share, left_handed, other_handed
from signloom.features.pose.layout import SHOULDERS, WRISTS
from signloom.features.shards import append_npy
from signloom.files import file_sha256
from signloom.inference.answer import Answer, Company
from signloom.inference.answer_text import clip_table
from signloom.inference.company import Look, third
from signloom.inference.video import track_video
from signloom.video.decode import Frame, read_frames
from tests.bodies import as_tracked, moving_body
from tests.form_files import write
from tests.videos import side_by_side, write_pictures

Said = Callable[..., tuple[int, str, str]]
LEFT, RIGHT = WRISTS["left_hand"], WRISTS["right_hand"]
# clips of s1, who signs with the right hand, in which it moves far more than the left one
RIGHT_HANDED = ("001_1", "008_1", "011_1")
OTHER_HAND = "look at: 1 clip is signed with another hand than their signer's other clips, first {} (left);"


@pytest.fixture(scope="module")
def faces() -> Iterator[FaceFinder]:
    with FaceFinder() as finder:
        yield finder


@pytest.fixture(scope="module")
def demo(root: Path) -> Path:
    return root / "data/demo/videos"


def walk(steps_left: float, steps_right: float, seen_left: float = 0.9) -> np.ndarray:
    """Rows (5, 1662) in which each wrist goes so many shares of the picture's width a frame, to and fro."""
    rows = np.full((5, 1662), np.nan, np.float32)
    pose = np.zeros((5, 33, 4), np.float32)
    pose[..., 3] = 0.9
    pose[:, SHOULDERS[0], 0] = 0.1
    pose[1::2, LEFT, 0], pose[1::2, RIGHT, 0] = steps_left, steps_right
    pose[:, LEFT, 3] = seen_left
    rows[:, :132] = pose.reshape(5, -1)
    return rows


def test_the_share_of_the_hands_is_that_of_the_ways_they_go() -> None:
    assert hand_share(walk(0.0, 0.1), 640, 480) == pytest.approx(1)
    assert hand_share(walk(0.3, 0.1), 640, 480) == pytest.approx(-0.5)
    assert hand_share(walk(0.1, 0.1), 640, 480) == pytest.approx(0)
    assert hand_share(walk(0.3, 0.1, seen_left=0.2), 640, 480) == pytest.approx(1), "a guess is no motion"
    assert np.isnan(hand_share(walk(0, 0), 640, 480))
    assert np.isnan(hand_share(walk(0.0, 0.02), 640, 480)), "points that tremble are no motion"
    assert np.isnan(hand_share(np.full((5, 1662), np.nan, np.float32), 640, 480))
    turned = walk(0.0, 0.1)
    turned[1::2, LEFT * 4 + 1] = 0.1
    assert hand_share(turned, 600, 200) == pytest.approx(0.5), "width and height are counted in pixels"


@pytest.mark.parametrize(
    ("shares", "signers", "odd"),
    [
        ([0.5, 0.6, 0.3, -0.5], "aaaa", [("3", "left")]),
        ([-0.5, -0.6, -0.3, 0.5, np.nan], "aaaaa", [("3", "right")]),
        ([0.5, 0.6, -0.5], "aaa", []),  # two other clips are too few
        ([0.5, 0.6, np.nan, -0.5], "aaaa", []),  # a clip in which nothing moves does not count
        ([0.5, 0.6, 0.3, -0.15], "aaaa", []),  # both hands move
        ([0.1, 0.15, 0.1, -0.5], "aaaa", []),  # the others move both hands
        ([-0.5, -0.6, -0.3, -0.4], "aaaa", []),  # a left-handed signer
        ([0.5, 0.6, -0.3, -0.4], "aabb", []),  # two signers
        ([0.5, 0.6, 0.3, -0.5], ["", " ", "", ""], []),  # nobody knows who signs
    ],
)
def test_a_clip_is_named_where_its_signer_clearly_uses_the_other_hand_elsewhere(
    shares: list[float], signers: str, odd: list[tuple[str, str]]
) -> None:
    clips = pd.DataFrame({"clip_id": map(str, range(len(shares))), "signer_id": [*signers], "share": shares})
    assert list(other_handed(clips)) == odd


def test_signers_whose_clips_show_the_left_hand_are_left_handed_or_mirrored() -> None:
    shares = [-0.5, -0.6, 0.3, -0.4, -0.5, -0.6, -0.4, 0.5, 0.6, 0.5, 0.1, *[-0.5] * 4]
    clips = pd.DataFrame({"clip_id": range(15), "signer_id": [*"aaaabbbcccc", *[" "] * 4], "share": shares})
    assert left_handed(clips) == ["a"]
    assert left_handed(clips.assign(share=np.nan)) == left_handed(clips[:0]) == []


def test_check_says_whose_videos_may_all_be_mirrored(
    new_project: Path, demo: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signloom.cli.check.about_people", about_people)
    monkeypatch.setattr(people, "_LIMIT_S", 0.0)
    names = ["001_1", "004_1", "008_1", "009_1"]
    table(new_project, demo / "s1", [f"{name}.mp4,anna" for name in names])
    built(new_project / "build/mine/landmarks", demo / "s1", **dict.fromkeys(names, (0.1, 0.0)))
    code, out, _ = said("check", "mine")
    assert code == 0, out
    (line,) = [line for line in out.splitlines() if line.startswith("people ")]
    assert line.endswith(" s; left-handed, or all videos mirrored: anna")


def test_tiny_faces_do_not_count() -> None:
    assert [count_large(heights) for heights in ([], [0.02], [0.3, 0.09], [0.3, 0.11, 0.3])] == [0, 1, 1, 3]


def test_one_frame_of_several_is_not_enough_for_company() -> None:
    assert [first_company(counts) for counts in ([], [1, 1], [1, 2, 1], [2])] == [None, None, None, 0]
    assert first_company([1, 3, 1, 2]) == 1


def test_faces_are_counted_in_pictures_of_one_and_of_two_people(faces: FaceFinder, demo: Path) -> None:
    one, two = demo / "s1/001_1.mp4", demo / "s2/001_1.mp4"
    assert faces.count(next(read_frames(one)).image) == 1
    assert faces.count(next(side_by_side(one, two))) == 2
    assert faces.count(np.full((480, 640, 3), 127, np.uint8)) == 0


class Somebody:
    """In the tracker's place: a body whose nose is at a share of the picture's width."""

    def __init__(self, nose: float) -> None:
        self._nose = nose

    def restart(self) -> None:
        pass

    def landmarks(self, image: np.ndarray) -> np.ndarray:
        row = as_tracked(moving_body(np.zeros(1)), np.zeros(1)).rows[0]
        row[0] = self._nose
        return row


@pytest.mark.parametrize(
    ("nose", "read", "words"),
    [
        (0.2, "left", "the person on the left was read"),
        (0.5, "middle", "the person in the middle was read"),
        (0.8, "right", "the person on the right was read"),
        (np.nan, None, "nobody was read"),
    ],
)
def test_a_video_of_two_people_says_whom_it_read(
    nose: float, read: str | None, words: str, faces: FaceFinder, demo: Path, tmp_path: Path
) -> None:
    pictures = islice(side_by_side(demo / "s1/001_1.mp4", demo / "s2/001_1.mp4"), 15)
    video = write_pictures(tmp_path / "two.mp4", pictures)
    look = Look(faces, video, None, None)
    company = look.company(track_video(Somebody(nose), video, watch=look.through))
    assert company == Company(2, 0.0, read)
    answer = Answer(False, "no_person", (), None, 0, None, None, company=company)
    assert f"  2 faces in the picture at 0.0 s; {words}" in clip_table("a", answer).splitlines()
    assert answer.to_dict()["company"] == {"faces": 2, "time_s": 0.0, "read": read}


def test_company_is_dated_by_the_clip_and_placed_by_the_nose_at_that_time() -> None:
    class Second:
        """Counts two faces from the third look on."""

        looks = 0

        def count(self, image: np.ndarray) -> int:
            self.looks += 1
            return 1 + (self.looks > 2)

    counter, times = Second(), np.arange(0, 10, 0.04)
    look = Look(counter, Path("none.mp4"), 5.0, 15.0)
    frames = [Frame(n, time_s, np.zeros((2, 2, 3), np.uint8)) for n, time_s in enumerate(times)]
    assert list(look.through(frames)) == frames
    raw = as_tracked(moving_body(times), times)
    raw.rows[:, 0] = np.where(times < 3, 0.1, 0.9)
    assert look.company(raw) == Company(2, pytest.approx(4.0), "right")
    assert counter.looks == 5, "the cost does not grow with the clip"


def test_without_a_counter_nothing_is_looked_at(demo: Path) -> None:
    look = Look(None, demo / "s1/001_1.mp4", None, None)
    frames = [Frame(0, 0.0, np.zeros((2, 2, 3), np.uint8))]
    assert list(look.through(frames)) == frames
    assert look.company(as_tracked(moving_body(np.zeros(1)), np.zeros(1))) is None


def test_thirds_of_the_picture() -> None:
    assert [third(x) for x in (-0.2, 0.3, 0.34, 0.66, 0.7, 1.3)] == [
        *("left", "left", "middle", "middle", "right", "right")
    ]
    assert third(float("nan")) is None


def table(project: Path, videos: Path, rows: list[str]) -> None:
    """Write a table of `rows` (video, signer) and a preset `mine` for it."""
    lines = [f"{row},{number % 2},sentence {number % 2}" for number, row in enumerate(rows)]
    head = "video,signer_id,sentence_id,sentence"
    write(project / "data/mine", clips__csv="\n".join([head, *lines]) + "\n")
    dataset: dict[str, Any] = {"table": "data/mine/clips.csv", "videos": str(videos), "variations": None}
    tree = {"pipeline": {"families": ["sign2text"]}, "dataset": dataset, "splits": {"mode": "clip"}}
    Path("config/presets/mine.yaml").write_text(yaml.safe_dump(tree))


def test_check_names_a_mirrored_video_and_one_of_two_people(
    new_project: Path, demo: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signloom.cli.check.about_people", about_people)
    monkeypatch.setattr(people, "_LIMIT_S", 600.0)
    videos = new_project / "data/mine/videos"
    videos.mkdir(parents=True)
    for name in RIGHT_HANDED:
        shutil.copy(demo / f"s1/{name}.mp4", videos)
    flipped = (np.ascontiguousarray(frame.image[:, ::-1]) for frame in read_frames(demo / "s1/025_1.mp4"))
    write_pictures(videos / "flipped.mp4", flipped)
    write_pictures(videos / "two.mp4", islice(side_by_side(demo / "s1/001_1.mp4", demo / "s2/001_1.mp4"), 20))
    table(
        new_project,
        videos,
        ["flipped.mp4,anna", *(f"{name}.mp4,anna" for name in RIGHT_HANDED), "two.mp4,ben"],
    )
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "people    5 of 5 clips looked at, in " in out
    assert OTHER_HAND.format("flipped") in out
    assert "look at: 1 of 5 clips looked at show more than one face, first two; " in out


def built(folder: Path, videos: Path, **shares: tuple[float, float]) -> None:
    """Write a shard of landmarks of clips whose wrists move by so much."""
    folder.mkdir(parents=True)
    with append_npy(folder / "00.npy", 1662, np.float32) as array:
        for steps in shares.values():
            array.append(walk(*steps))
    index = pd.DataFrame({"clip_id": [*shares], "offset": 5 * np.arange(len(shares)), "length": 5})
    index.assign(width=640, height=480).to_parquet(folder / "00.parquet")
    hashes = [file_sha256(videos / f"{name}.mp4") if name != "gone" else "" for name in shares]
    table = pd.DataFrame({"clip_id": [*shares], "video_hash": hashes})
    table.to_parquet(folder.parent / "manifest.parquet")


def test_check_reads_the_hands_of_all_clips_from_landmarks_that_are_built(
    new_project: Path, demo: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nobody:
        """Must not be built: no frame is tracked."""

    monkeypatch.setattr("signloom.cli.check.about_people", about_people)
    monkeypatch.setattr(people, "HolisticTracker", Nobody)
    monkeypatch.setattr(people, "_LIMIT_S", 0.0)
    names = ["001_1", "004_1", "008_1", "009_1", "011_1"]
    table(new_project, demo / "s1", [f"{name}.mp4,anna" for name in names])
    ways = dict.fromkeys(names, (0.0, 0.1)) | {"009_1": (0.1, 0.0), "gone": (0.1, 0.0)}
    place = new_project / "build/mine/landmarks"
    built(place, demo / "s1", **ways)
    # of an earlier and larger shards.count
    for suffix in (".npy", ".parquet"):
        shutil.copy(place / f"00{suffix}", place / f"17{suffix}")
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "people    0 of 5 clips looked at, hands in the landmarks of 5 clips, in " in out
    assert OTHER_HAND.format("009_1") in out
    # the video was put right since
    manifest = pd.read_parquet(place.parent / "manifest.parquet")
    manifest.loc[manifest["clip_id"] == "009_1", "video_hash"] = "of the mirrored one"
    manifest.to_parquet(place.parent / "manifest.parquet")
    code, out, _ = said("check", "mine")
    assert code == 0 and "hands in the landmarks of 4 clips" in out and "mirrored" not in out


def test_a_look_is_spread_over_signers_and_bounded() -> None:
    many = pd.DataFrame({"clip_id": range(1000), "signer_id": [f"s{n % 50:02}" for n in range(1000)]})
    chosen = people.spread(many)
    assert chosen.groupby("signer_id").size().tolist() == [4] * 6
    assert chosen["signer_id"].head(6).nunique() == 6, "the signers in turn, should the time be over"
    few = many.assign(signer_id=["a"] * 998 + ["b"] * 2)
    assert people.spread(few)["signer_id"].value_counts().tolist() == [12, 2]
    unnamed = people.spread(many.assign(signer_id=""))["clip_id"]
    assert (len(unnamed), unnamed.min(), unnamed.max()) == (24, 0, 999)
    assert people.spread(many[:0]).empty
