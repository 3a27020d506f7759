"""`signloom check` says what the build of a preset would do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from signloom.cli import check as check_command
from signloom.params.load import load_params
from signloom.video.decode import read_frames
from tests.checked_tables import FOLDERS, ROWS, checked
from tests.form_files import SRT, write, write_videos
from tests.videos import write_frames, write_varying, write_video

ROOT = Path(__file__).parent.parent
Said = Callable[..., tuple[int, str, str]]


def test_check_names_what_a_build_would_reject(new_project: Path, said: Said) -> None:
    videos = new_project / "data/mine/videos"
    write_videos(videos, *(f"{n}.mp4" for n in range(9)))
    write_video(videos / "t.mp4", frames=2, fps=1, seed=77, size=32)
    shutil.copy(videos / "3.mp4", videos / "again.mp4")
    write_video(videos / "short.mp4", frames=4, fps=25, seed=99, size=16)
    checked(
        new_project,
        [
            *ROWS,
            "t.mp4,1,sentence 1,s2,test,7",
            "again.mp4,1,sentence 1,s2,train,",
            "short.mp4,1,sentence 1,s2,train,",
            "gone.mp4,1,sentence 1,s2,train,",
        ],
        manifest={"max_reject_ratio": 0.5},
    )
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "rejected  duplicate 1, missing 1" in out
    assert "look at: again and 3 are the same video; keep one of them" in out
    assert "1 row is rejected as missing, first row 14: data/mine/videos/gone.mp4 does not exist" in out
    assert "1 clip ends after its video, first t@-7 at 7 s of 2.00 s" in out
    assert "1 of 11 clips are shorter than quality.min_seconds 0.5" in out and "first short" in out
    assert "rates     1 fps: 10, 25 fps: 1" in out
    assert "pictures  16x16: 10, 32x32: 1" in out
    assert "test      1 clip, 1 sentence, 1 named signer" in out
    # landmarks 1662 and features 540 numbers of 4 bytes and a mask of 4: 20.16 s at 12.5 a second, 24 tracked
    assert "disk      0.7 MB" in out


def test_two_rows_of_one_part_of_a_video_are_named_by_their_rows(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    twice = "8.mp4,1,sentence 1,s2,test,1.0"
    checked(new_project, [*ROWS, twice, twice])
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "rejected as duplicate, first row 12: is the same part of the same video as row 11; correct" in out
    assert "keep one of them" not in out


def test_equal_sentences_under_two_ids_are_named_whatever_the_splits(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    rows = [f"{n}.mp4,{n},sentence {n % 2}!,s{n % 3},{'train' if n < 7 else 'val'}," for n in range(8)]
    checked(new_project, [*rows, "8.mp4,8,Sentence 0,s2,test,"])
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert (
        "look at: 1 sentence of the test is in training under another sentence_id, first 'Sentence 0'" in out
    )
    # vowel signs tell these apart
    hindi = [row.replace("sentence 0!", "मैं पीता हूँ") for row in rows]
    checked(new_project, [*hindi, "8.mp4,8,मैं पीती हूँ,s2,test,"])
    assert "of the test is in training under another sentence_id" not in said("check", "mine")[1]


def test_gloss_lines_that_differ_in_a_mark_are_different_sentences(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    lines = ["GO", "GO++", "HOUSE", "HOUSE+", "IX-1 (?)", "ix-1", "TREE", "TREE-2", "#TREE"]
    table = new_project / "data/mine/clips.csv"
    checked(new_project, [], splits={"mode": "sentence", "val_share": 0.3, "test_share": 0.3})
    table.write_text("\n".join(["video,gloss", *(f"{n}.mp4,{line}" for n, line in enumerate(lines)), ""]))
    code, out, _ = said("check", "mine")
    assert code == 0 and "under another sentence_id" not in out, out
    # equal ones are still named
    splits = [*["train"] * 7, "val", "test"]
    rows = [f"{n}.mp4,{n},{lines[n % 8]},{split}" for n, split in enumerate(splits)]
    checked(new_project, [], splits={"mode": "predefined"})
    table.write_text("\n".join(["video,sentence_id,gloss,split", *rows, ""]))
    out = said("check", "mine")[1]
    assert "1 sentence of the test is in training under another sentence_id, first 'GO'" in out


def test_texts_that_training_has_otherwise_are_named_in_val_and_as_variations(
    new_project: Path, said: Said
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    rows = [f"{n}.mp4,,sentence {n},s{n % 3},train," for n in range(7)]
    checked(new_project, [*rows, "7.mp4,,Sentence 3!,s1,val,", "8.mp4,,we go,s2,test,"])
    table = Path("data/mine/clips.csv")
    lines = table.read_text().splitlines()
    told = [
        f"{line},{it}" for line, it in zip(lines, ["text_variations", *['"[""We go.""]"'] * 9], strict=True)
    ]
    table.write_text("\n".join(told) + "\n")
    out = said("check", "mine")[1]
    first = "1 sentence of validation is in training under another sentence_id, first 'Sentence 3!'"
    assert (
        f"{first}; they count as never seen: training has it as 'sentence 3'; write such texts alike" in out
    )
    assert (
        "1 sentence of the test is in training as a variation of another, first 'we go' of 'sentence 6'"
        in out
    )


def test_decisions_of_a_review_that_are_not_applied_are_named(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    review = "clip_id,label,action,new_label\n1,other,set_aside,\n2,sentence 0,relabel,sentence 1\n"
    write(new_project / "data/mine", review__csv=review)
    paths = {"table": "data/mine/clips.csv", "videos": "data/mine/videos", "variations": None}
    checked(new_project, [*ROWS, "8.mp4,0,sentence 0,s2,test,1.0"])
    tree = {"pipeline": {"families": ["sign2text"]}, "dataset": paths | {"review": "data/mine/review.csv"}}
    Path("config/presets/mine.yaml").write_text(yaml.safe_dump(tree))
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "look at: data/mine/review.csv: 1 decision is left out" in out
    assert "first: row 2, clip 1: its label was 'other' and is 'sentence 1'" in out


def test_a_broken_first_clip_does_not_keep_check_from_its_findings(
    new_project: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(video: Path, params: Any) -> float:
        return float(sum(1 for _ in read_frames(video)))

    monkeypatch.setattr(check_command, "measured_rate", measured)
    for n in range(9):
        folder = write_frames(new_project / f"data/mine/videos/{n}", count=50, seed=n)
    wide = cv2.resize(cv2.imread(str(folder / "images0009.png")), (99, 48))
    assert cv2.imwrite(str(new_project / "data/mine/videos/0/images0009.png"), wide)
    rows = [*ROWS, "8,0,sentence 0,s2,test,1.0"]
    checked(new_project, [row.replace(".mp4", "") for row in rows], dataset=FOLDERS)
    code, out, err = said("check", "mine")
    assert code == 0, err
    assert "warning: data/mine/videos/0: frame 8 is 99x48 pixels, the first 64x48; " in err
    assert "of one size; this clip" in err
    assert "50.0 a second measured here" in out


def test_a_cut_past_the_end_of_a_folder_of_pictures_is_a_reject(new_project: Path, said: Said) -> None:
    for n in range(9):
        write_frames(new_project / f"data/mine/videos/{n}", count=50, seed=n)
    rows = [row.replace(".mp4", "") for row in ROWS]
    checked(new_project, [*rows, "8,1,sentence 1,s2,test,1.0"], dataset=FOLDERS | {"frame_rate": 25.0})
    table = new_project / "data/mine/clips.csv"
    head, *lines = table.read_text().splitlines()
    table.write_text(
        "\n".join([f"{head},start_s", *(f"{line}," for line in lines), "7,1,sentence 1,s1,train,12,10\n"])
    )
    _, out, _ = said("check", "mine")
    assert "1 row is rejected as past_end, first row 12: begins after the end of the video" in out, out


def test_a_cut_whose_frames_are_there_although_the_header_says_less_is_right(
    new_project: Path, said: Said
) -> None:
    videos = new_project / "data/mine/videos"
    write_videos(videos, *(f"{n}.mp4" for n in range(9)))
    write_varying(videos / "t.mp4")
    checked(new_project, [*ROWS, "t.mp4,1,sentence 1,s2,test,5.0"])
    _, out, _ = said("check", "mine")
    assert "clip ends after its video" not in out and "past_end" not in out
    checked(new_project, [*ROWS, "t.mp4,1,sentence 1,s2,test,9.0"])
    _, out, _ = said("check", "mine")
    assert "1 clip ends after its video, first t@-9.0 at 9 s of 5.08 s" in out, out


def test_two_files_of_subtitles_for_one_video_are_named(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine", "talk.mp4", seconds=4)
    dataset = {"importer": "subtitles", "table": "data/mine", "videos": "data/mine", "variations": None}
    Path("config/presets/mine.yaml").write_text(yaml.safe_dump({"dataset": dataset}))
    for one, two in (("talk.de.srt", "talk.en.srt"), ("talk.srt", "talk.vtt")):
        for name in (one, two):
            write(new_project / "data/mine", **{name.replace(".", "__"): SRT})
        code, out, _ = said("check", "mine")
        assert code == 1
        assert f"data/mine/{one} and data/mine/{two} are both subtitles of talk.mp4; keep the files of" in out
        assert said("init", "data/mine", "--preset", "other")[2].startswith(
            f"error: init: data/mine/{one} and "
        )
        for name in (one, two):
            (new_project / "data/mine" / name).unlink()


def test_check_counts_feature_rows_from_their_files_and_tracks_nothing(new_project: Path, said: Said) -> None:
    videos = new_project / "data/mine/videos"
    videos.mkdir(parents=True)
    for n in range(9):
        np.save(videos / f"{n}.npy", np.full((40, 60), n + 1, np.float32))
    table = "video,frame,x,y\n" + "".join(f"{clip},{frame},1,2\n" for clip in "ab" for frame in range(20))
    rows = [row.replace(".mp4", ".npy") for row in ROWS]
    checked(new_project, [*rows, "0.npy,0,sentence 0,s0,test,1.0"])
    preset = Path("config/presets/mine.yaml")
    tree = yaml.safe_load(preset.read_text())
    tree["dataset"] |= {"features": True, "frame_rate": 20.0}
    preset.write_text(yaml.safe_dump(tree))
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "lengths   1.00/1.45/2.00/2.00/2.00 s" in out and "rates     20 fps: 10" in out
    assert "rows      380 of 60 columns" in out and "disk      0.1 MB" in out and "\ntime " not in out
    for column, shown in ((59, False), (60, True)):
        preset.write_text(yaml.safe_dump(tree | {"positions": {"others": [column]}}))
        line = "must be mended: positions: column 60 is missing; the rows have 60, from 0"
        assert (line in said("check", "mine")[1]) == shown
    write(videos, t__csv=table)
    checked(new_project, [*rows, "t.csv#a,1,sentence 1,s2,test,"])
    preset.write_text(yaml.safe_dump(tree))
    code, out, _ = said("check", "mine")
    assert code == 1
    assert "0.npy has rows of 60 columns, and data/mine/videos/t.csv#a of 2; expected one width" in out


def test_check_adds_up_the_hours_of_the_clips_that_are_kept(new_project: Path, said: Said) -> None:
    videos = new_project / "data/mine/videos"
    videos.mkdir(parents=True)
    for n in range(9):
        np.save(videos / f"{n}.npy", np.full((40 + n, 3), n + 1, np.float32))
    rows = [row.replace(".mp4", ".npy") for row in ROWS]
    checked(new_project, [*rows, "gone.npy,0,sentence 0,s0,test,", "0.npy,0,sentence 0,s0,test,36.0"])
    preset = Path("config/presets/mine.yaml")
    tree = yaml.safe_load(preset.read_text())
    tree["dataset"] |= {"features": True, "frame_rate": 0.1}
    preset.write_text(yaml.safe_dump(tree))
    # 9 clips of 40 to 48 rows, one each 10 s, and a cut of 36 s are 3996 s
    assert "clips     10 of 11 rows, 1.11 hours\n" in said("check", "mine")[1]


@pytest.mark.parametrize(
    ("rows", "sections", "line"),
    [
        (
            [*ROWS, *(f"gone{n}.mp4,0,sentence 0,s0,test," for n in range(2))],
            {},
            "manifest.max_reject_ratio 0.1",
        ),
        (ROWS, {}, "none of 9 signed clips would be in test"),
        (ROWS, {"quality": {"min_seconds": 3.0}, "splits": {"mode": "clip"}}, "quality.max_reject_ratio 0.2"),
        (ROWS, {"pipeline": {"families": ["gloss"]}, "splits": {"mode": "clip"}}, "no clip has a gloss"),
        (["gone.mp4,0,sentence 0,s0,train,"], {}, "1 of 1 rows rejected, and no clip is left; first: row 2"),
        (
            ["gone.mp4,0,sentence 0,s0,train,"],
            {"manifest": {"max_reject_ratio": 1.0}},
            "1 of 1 rows rejected, and no clip is left; first: row 2",
        ),
        (
            [f"{n}.mp4,{n},{'We go.' if n % 2 else 'we go'} {n // 2 % 2},s{n % 3},," for n in range(9)],
            {"splits": {"mode": "sentence", "test_share": 0.5}},
            "sentences of the test are in training under another sentence_id, first",
        ),
    ],
)
def test_check_fails_where_a_build_would_stop_or_mislead(
    rows: list[str], sections: dict[str, Any], line: str, new_project: Path, said: Said
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(new_project, rows, **sections)
    code, out, _ = said("check", "mine")
    assert code == 1
    assert [found for found in out.splitlines() if found.startswith("must be mended") and line in found], out


@pytest.mark.parametrize("given", ["data/mine", "data/mine/", "config/presets/mine.yaml"])
def test_a_path_in_place_of_a_preset_lists_the_presets(new_project: Path, said: Said, given: str) -> None:
    checked(new_project, ROWS)
    code, _, err = said("check", given)
    assert (
        code == 2
        and "did you mean mine? expected one of" in err
        and "mine" in err.split("expected one of")[1]
    )


def test_check_lays_presets_over_each_other_and_names_an_unknown_one(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(new_project, ROWS)
    write(new_project / "config/presets", clips__yaml="splits: {mode: clip}\n")
    assert said("check", "mine")[0] == 1
    assert said("check", "mine,clips")[0] == 0
    network = "{pipeline: {families: [gloss]}, clip_features: {backbone: videomae, weights: random}}\n"
    write(new_project / "config/presets", network__yaml=network)
    code, out, _ = said("check", "mine,clips,network")
    assert code == 1 and "must be mended: clip_features.crop 80: videomae takes 224 only" in out
    code, _, err = said("check", "other")
    assert code == 2
    assert err.startswith(
        "error: config/presets/other.yaml does not exist; expected one of clips, mine, network"
    )
    assert "does not exist; did you mean mine? expected one of" in said("check", "minee")[2]


def test_the_rate_of_this_machine_is_measured_within_seconds() -> None:
    params = load_params(ROOT / "params.yaml").landmarks
    assert 0.1 < check_command.measured_rate(ROOT / "data/demo/videos/s1/001_1.mp4", params) < 10_000


def test_check_names_rates_that_cost_accuracy_or_time(new_project: Path, said: Said) -> None:
    pose, videos = {"fps": 25.0, "max_gap": 5, "smoothing": 0.2}, new_project / "data/mine/videos"
    checked(new_project, ROWS, pose=pose, landmarks={"max_fps": None})
    for n in range(9):
        write_video(videos / f"{n}.mp4", frames=15, fps=15 if n < 6 else 60 + n, seed=n, size=16)
    _, out, _ = said("check", "mine")
    assert "rates     15 fps: 6, 66 fps: 1, 67 fps: 1, 68 fps: 1" in out
    assert "set pose.fps 15, pose.max_gap 3 and pose.smoothing 0.31" in out
    for n in range(9):
        write_video(videos / f"{n}.mp4", frames=60, fps=60 + n, seed=n, size=16)
    _, out, _ = said("check", "mine")
    assert "64 fps: 1 and 4 more" in out
    assert "up to 68 frames a second" in out and "landmarks.max_fps 30 tracks 4" in out
