"""The three tables of SignTalk-GH: the workbook, the sampled table and the table of processed clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from form_stages import read_corpus

from signloom.errors import SignloomError
from tests.form_files import values, write, write_videos
from tests.manifests import build
from tests.row_stages import splits_in, to_splits
from tests.videos import write_video


def test_signtalk_reads_the_workbook_and_rejects_videos_without_a_sentence(tmp_path: Path) -> None:
    for number, name in enumerate(["1000A.mp4", "1000B.mp4", "7A.mp4"]):
        write_video(tmp_path / "videos" / name, seed=number)
    sheet = pd.DataFrame({"Sentence ID": [1000], "Sentence": ["The child has a fever."], "Text": ["health"]})
    sheet.to_excel(tmp_path / "clips.xlsx", sheet_name="Sheet1", index=False)
    manifest = build(tmp_path, "", importer="signtalk")
    assert manifest.clips[["clip_id", "sentence_id", "category"]].to_numpy().tolist() == [
        ["1000A", 1000, "health"],
        ["1000B", 1000, "health"],
    ]
    assert manifest.rejects["reason"].tolist() == ["bad_row"]


def test_a_workbook_line_without_an_id_belongs_to_no_video(tmp_path: Path) -> None:
    for number, name in enumerate(["1000A.mp4", "intro.mp4"]):
        write_video(tmp_path / "videos" / name, seed=number)
    sheet = pd.DataFrame({"Sentence ID": [None, 1000], "Sentence": ["Oh.", "NA"], "Text": ["x", "y"]})
    sheet.to_excel(tmp_path / "clips.xlsx", sheet_name="Sheet1", index=False)
    manifest = build(tmp_path, "", importer="signtalk")
    assert manifest.clips[["clip_id", "sentence"]].to_numpy().tolist() == [["1000A", "NA"]]
    assert manifest.rejects[["clip_id", "reason"]].to_numpy().tolist() == [["intro", "bad_row"]]


def test_workbook_lines_that_disagree_about_an_id_are_an_error_and_repeated_ones_are_not(
    tmp_path: Path,
) -> None:
    write_video(tmp_path / "videos/5A.mp4")
    sheet = pd.DataFrame({"Sentence ID": [5, 5], "Sentence": ["One.", "One. "], "Text": ["x", "x"]})
    sheet.to_excel(tmp_path / "clips.xlsx", sheet_name="Sheet1", index=False)
    assert build(tmp_path, "", importer="signtalk").clips["sentence"].tolist() == ["One."]
    sheet.loc[1, "Sentence"] = "Two."
    sheet.to_excel(tmp_path / "clips.xlsx", sheet_name="Sheet1", index=False)
    with pytest.raises(SignloomError, match=r"Sheet1, line 3: Sentence ID 5 .*Two\..*One\."):
        build(tmp_path, "", importer="signtalk")


def test_signtalk_sampled_and_processed_forms_are_read(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/1000A.mp4")
    sampled = "video_file,sentence_id,sentence,category,variant\n1000A.mp4,1000,Good morning.,greeting,A\n"
    assert build(tmp_path, sampled, importer="signtalk_sampled").clips["sentence"].tolist() == [
        "Good morning."
    ]
    np.save(tmp_path / "videos/1000A.npy", np.zeros((3, 540), np.float32))
    processed = (
        "video_file,feature_path,num_frames,sentence_id,sentence,category,text_variations\n"
        '1000A.mp4,1000A.npy,3,1000,Good morning.,greeting,"[""Morning.""]"\n'
    )
    clips = build(tmp_path, processed, importer="processed").clips
    assert clips[["clip_id", "text_variations"]].to_numpy().tolist() == [["1000A", '["Morning."]']]


def test_the_workbook_and_the_sampled_table_reach_the_splits(tmp_path: Path) -> None:
    videos = write_videos(tmp_path / "Videos", "1000A.mp4", "1000B.mp4", "1001A.mp4", "1001B.mp4")
    sheet = {"Sentence ID": [1000, 1001], "Sentence": ["Good morning.", "He is ill."], "Text": ["x", "y"]}
    pd.DataFrame(sheet).to_excel(tmp_path / "Metadata.xlsx", sheet_name="Sheet1", index=False)
    head = "video_file,sentence_id,sentence,category,variant\n"
    lines = "1000B.mp4,1000,Good morning.,x,B\n1001A.mp4,1001,He is ill.,y,A\n"
    write(tmp_path, sampled_metadata__csv=head + lines)
    for importer, table, ids in (
        ("signtalk", "Metadata.xlsx", ["1000A", "1000B", "1001A", "1001B"]),
        ("signtalk_sampled", "sampled_metadata.csv", ["1000B", "1001A"]),
    ):
        read = read_corpus(tmp_path, importer, tmp_path / table, videos, mode="clip")
        assert list(read.splits) == ids and set(read.splits.values()) <= {"train", "val", "test"}
        assert values(read.clips, "sentence", "category")[-1] == ["He is ill.", "y"]


def test_processed_clips_reach_the_splits(tmp_path: Path) -> None:
    head = (
        "video_file,feature_path,num_frames,frame_feature_dim,detection_ratio,mean_visibility,motion_mean,"
        "motion_p50,motion_p95,motion_max,sentence_id,sentence,category,quality_flag,text_variations\n"
    )
    lines, rng = [], np.random.default_rng(0)
    for number in range(12):
        name = f"{1000 + number % 2}{'ABCDEF'[number // 2]}"
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(130, 540)).astype(np.float32))
        measured = f"{name}.mp4,{name}.npy,130,540,1.0,0.9,0.1,0.1,0.2,0.3"
        text = f"Sentence {number % 2}."
        lines.append(f'{measured},{1000 + number % 2},{text},x,ok,"[""Oh, {text}""]"')
    table = write(tmp_path, processed_metadata__csv=head + "\n".join(lines) + "\n") / "processed_metadata.csv"
    dataset = {"importer": "processed", "table": str(table), "videos": str(tmp_path), "variations": None}
    found = to_splits(tmp_path / "out", dataset, mode="clip")
    parts = splits_in(found)
    assert len(parts) == 12 and set(parts.values()) == {"train", "val", "test"}
    clips = pd.read_parquet(found["metadata"][0])
    assert clips["text_variations"].tolist()[:1] == ['["Oh, Sentence 0."]']
    assert clips["num_frames"].unique().tolist() == [130]
