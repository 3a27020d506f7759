"""`signloom check` on people: signers, consents, and frames that training and test share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from signloom.dataset import fitness
from tests.checked_tables import ROWS, checked
from tests.form_files import write_videos

Said = Callable[..., tuple[int, str, str]]


def test_parts_of_a_video_that_training_shows_too_are_named(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(new_project, [*ROWS, "0.mp4,1,sentence 1,s2,test,1.9", "8.mp4,1,sentence 1,s1,test,0.4"])
    out = said("check", "mine")[1]
    assert "1 clip outside training shares most frames with a training clip, first 0@-1.9 with 0" in out


def test_a_copy_of_a_training_video_under_another_name_is_named_in_folds_too(
    new_project: Path, said: Said
) -> None:
    videos = write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    shutil.copy(videos / "0.mp4", videos / "copy.mp4")
    checked(new_project, [*ROWS, "copy.mp4,1,sentence 1,s2,test,1.9"])
    out = said("check", "mine")[1]
    assert "1 clip outside training shares most frames with a training clip, first copy@-1.9 with 0" in out
    folds = {"folds": ["s0", "s1", "s2"], "fold_by": "signer"}
    checked(new_project, [*ROWS, "copy.mp4,1,sentence 1,s2,train,1.9"], runs=folds, splits={"test_share": 0})
    out = said("check", "mine")[1]
    said_of_fold = "in fold s0, 1 clip outside training shares most frames with a training clip, first 0 with"
    assert f"{said_of_fold} copy@-1.9" in out


def test_training_clips_that_a_share_leaves_out_share_no_frames(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    parts = [f"{n}.mp4,{n % 2},sentence {n % 2},s{n % 3},train,1.9" for n in range(8)]
    shares = {"folds": ["30", "60"], "fold_by": "share"}
    checked(new_project, [*ROWS, *parts], runs=shares, splits={"test_share": 0})
    code, out, _ = said("check", "mine")
    assert code == 0 and "most frames" not in out


def test_signers_who_differ_in_capitals_or_unseen_marks_alone_are_named(
    new_project: Path, said: Said
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(new_project, [ROWS[0].replace("s0", "Anna"), ROWS[1].replace("s1", "anna"), *ROWS[2:]])
    assert "look at: signers 'Anna' and 'anna' count as two people" in said("check", "mine")[1]
    checked(new_project, [ROWS[0].replace("s0", "\u0130dil"), ROWS[1].replace("s1", "idil"), *ROWS[2:]])
    assert "'\u0130dil' count as two people" in said("check", "mine")[1]
    checked(new_project, [ROWS[0].replace("s0", "An\u200bna"), ROWS[1].replace("s1", "anna"), *ROWS[2:]])
    assert "look at: signers 'An\\u200bna' and 'anna' count as two" in said("check", "mine")[1]


def test_a_copy_of_a_clip_whose_signer_does_not_allow_training_is_named(
    new_project: Path, said: Said
) -> None:
    videos = write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    shutil.copy(videos / "3.mp4", videos / "copy.mp4")
    checked(new_project, [*ROWS, "copy.mp4,1,sentence 1,s2,train,1.9"])
    table = new_project / "data/mine/clips.csv"
    lines = table.read_text().splitlines()
    allowed = ["none" if line.startswith("3.mp4") else "all" for line in lines[1:]]
    rows = [f"{line},{consent}" for line, consent in zip(lines[1:], allowed, strict=True)]
    table.write_text("\n".join([f"{lines[0]},consent", *rows]) + "\n")
    code, out, _ = said("check", "mine")
    assert code == 1 and "1 clip shows frames that another row does not allow for training (consent)" in out
    assert "first copy@-1.9 those of row 5; ask the signer" in out


def test_frames_of_a_refused_clip_count_where_no_length_is_known_and_not_where_cuts_touch() -> None:
    rejects = pd.DataFrame({"row": [2], "reason": ["no_consent"]})
    spans = [("", "", np.nan, np.nan), ("0", "2", 1.95, 4.0), ("0", "2", 1.5, 31.5), ("", "2", 2.0, np.nan)]
    for start, end, begins, ends, found in zip(*zip(*spans, strict=True), [1, 0, 1, 0], strict=True):
        rows = pd.DataFrame({"row": [2], "content": ["h"], "start_s": [start], "end_s": [end]})
        seconds = [ends - begins if begins == begins else np.nan]
        clips = pd.DataFrame({"clip_id": ["a"], "video_hash": ["h"], "start_s": [begins], "seconds": seconds})
        assert len([*fitness._about_consents(rows, rejects, clips)]) == found


def test_a_consent_that_has_ended_stops_check_as_it_stops_a_build(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(new_project, ROWS)
    table = new_project / "data/mine/clips.csv"
    lines = [
        f"{line},{'until' if not n else '2020-01-01' if n == 3 else ''}"
        for n, line in enumerate(table.read_text().splitlines())
    ]
    table.write_text("\n".join(lines) + "\n")
    code, out, _ = said("check", "mine")
    assert code == 1
    assert "must be mended: data/mine/clips.csv: the consent for 1 of 9 clips has ended; first: row 4" in out


def test_a_fold_of_a_signer_without_a_clip_is_said(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(new_project, ROWS, runs={"folds": ["s0", "s1", "s9"]}, splits={"test_share": 0})
    code, out, _ = said("check", "mine")
    assert code == 1 and "must be mended: runs.folds: signer 's9': no clip of it is left" in out
