"""BOSTON-104: glosses by frame, clips that are rows of one table, and the real data where it is at hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from signloom.dataset.forms.texts import sentence_number
from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import load_table
from signloom.dataset.manifest import Manifest, shard_digests
from signloom.dataset.row_tables import RowTable, split_key
from signloom.dataset.shard_names import shard_of
from signloom.dataset.sources import Table
from signloom.errors import SignloomError
from signloom.params.dataset import DatasetParams
from tests.manifests import dataset_of, manifest_of
from tests.row_stages import splits_in, to_splits

HEAD = "video,speaker,word,startframe,endframe\n"
WORDS = {
    "train_words.csv": HEAD + "1,woman-1,WRITE,22,50\n1,woman-1,JOHN,8,17\n3,man-1,LOVE,4,11\n",
    "test_words.csv": HEAD + "2,woman-1,JOHN,7,20\n2,woman-1,WRITE,23,36\n",
    "speaker.csv": "video,speaker\n1,woman-1\n2,woman-1\n3,man-1\n4,man-1\n",
    "hands_condensed.csv": (
        "video,frame,left-x,left-y,right-x,right-y,nose-x,nose-y\n"
        "3,1,1,2,3,4,5,6\n3,0,1,2,3,4,5,6\n1,0,10,20,30,40,50,60\n1,1,11,21,31,41,51,61\n2,0,9,9,9,9,9,9\n"
    ),
}


def write(folder: Path, **files: str) -> Path:
    for name, text in (WORDS | {f"{name}.csv": text for name, text in files.items()}).items():
        (folder / name).write_text(text)
    return folder


def build(folder: Path, ratio: float = 1.0) -> Manifest:
    return manifest_of(params(folder), folder / "h.json", ratio)


def digests(folder: Path) -> dict[str, str]:
    return shard_digests(Table.read(params(folder), HashCache(folder / "h.json")), 8)


def params(folder: Path) -> DatasetParams:
    return dataset_of(folder, folder, "boston104")


def test_glosses_stand_in_the_order_of_their_frames_with_signer_and_split(tmp_path: Path) -> None:
    rows = load_table("boston104", write(tmp_path), tmp_path)
    columns = ["row", "video", "sentence_id", "sentence", "gloss", "signer_id", "split"]
    write_ = str(sentence_number("JOHN WRITE"))
    love = str(sentence_number("LOVE"))
    assert rows[columns].to_numpy().tolist() == [
        ["train_words.csv:2", "hands_condensed.csv#1", write_, *["JOHN WRITE"] * 2, "woman-1", "train"],
        ["train_words.csv:4", "hands_condensed.csv#3", love, *["LOVE"] * 2, "man-1", "train"],
        ["test_words.csv:2", "hands_condensed.csv#2", write_, *["JOHN WRITE"] * 2, "woman-1", "test"],
    ]


def test_gloss_times_are_seconds_at_30_frames_a_second_whose_end_is_the_frame_after_the_last(
    tmp_path: Path,
) -> None:
    clips = build(write(tmp_path)).clips.set_index("clip_id")
    assert {clip_id: json.loads(times) for clip_id, times in clips["gloss_times"].items()} == {
        # JOHN 8-17 and WRITE 22-50, which stands before it in the file
        "hands_condensed/1": [[0.266667, 0.6], [0.733333, 1.7]],
        "hands_condensed/2": [[0.233333, 0.7], [0.766667, 1.233333]],
        "hands_condensed/3": [[0.133333, 0.4]],
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"test_words": HEAD + "1,woman-1,JOHN,7,20\n"}, r"test_words\.csv: line 2: video 1 is in train_w"),
        ({"train_words": HEAD + "1,woman-1,JOHN,soon,20\n"}, r"line 2: startframe 'soon': expected a whole"),
        ({"train_words": HEAD + "1,woman-1,JOHN,7,late\n"}, r"line 2: endframe 'late': expected a whole"),
        ({"train_words": HEAD + "1,woman-1,JOHN,7,6\n"}, r"line 2: endframe 6 is before startframe 7"),
        (
            {"train_words": "video,speaker,word,startframe\n"},
            r"train_words\.csv: column 'endframe' is missing",
        ),
        ({"train_words": HEAD + "1,man-1,JOHN,1,2\n"}, r"line 2: video 1 has speaker 'man-1'.*'woman-1'"),
        (
            {"speaker": "video,speaker\n2,woman-1\n3,man-1\n"},
            r"video 1 has speaker 'woman-1'; expected the v",
        ),
        ({"speaker": "video\n1\n"}, r"speaker\.csv: column 'speaker' is missing"),
    ],
)
def test_files_that_contradict_each_other_are_one_clear_error(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(SignloomError, match=message):
        load_table("boston104", write(tmp_path, **files), tmp_path)


def test_a_clip_of_a_table_is_known_by_its_own_rows(tmp_path: Path) -> None:
    first = build(write(tmp_path))
    ids = ["hands_condensed/1", "hands_condensed/2", "hands_condensed/3"]
    assert first.clips["clip_id"].tolist() == ids
    assert first.clips["video_path"].tolist() == [f"{tmp_path}/hands_condensed.csv#{key}" for key in "123"]
    before = digests(tmp_path)
    # another order of the rows is the same clip, another value in one is another
    table = WORDS["hands_condensed.csv"].replace("3,1,1,2,3,4,5,6\n", "") + "3,1,1,2,3,4,5,6\n"
    write(tmp_path, hands_condensed=table)
    assert build(tmp_path).clips["video_hash"].equals(first.clips["video_hash"])
    assert digests(tmp_path) == before
    write(tmp_path, hands_condensed=table.replace("1,1,11", "1,1,12"))
    after = digests(tmp_path)
    assert [name for name in before if before[name] != after[name]] == [shard_of(ids[0], 8)]


@pytest.mark.parametrize("bad", ["eleven", "1_1"])
def test_clips_without_rows_with_bad_rows_or_with_the_rows_of_another_are_rejected(
    tmp_path: Path, bad: str
) -> None:
    table = WORDS["hands_condensed.csv"].replace("1,1,11", f"1,1,{bad}")
    table = table.replace("2,0,9,9,9,9,9,9\n", "4,0,1,2,3,4,5,6\n4,1,1,2,3,4,5,6\n")
    words = WORDS["train_words.csv"] + "4,man-1,LOVE,4,11\n"
    manifest = build(write(tmp_path, hands_condensed=table, train_words=words))
    rejects = manifest.rejects.set_index("row")
    assert rejects["reason"].to_dict() == {
        "train_words.csv:2": "unreadable",
        "train_words.csv:5": "duplicate",
        "test_words.csv:2": "missing",
    }
    assert rejects["detail"].tolist() == [
        f"{tmp_path}/hands_condensed.csv: line 5: '{bad}': expected a number or an empty cell",
        "has the same content and times as hands_condensed/3",
        f"{tmp_path}/hands_condensed.csv: no row has '2' in column `video`",
    ]


def test_any_table_may_name_clips_of_a_table_of_rows_which_cannot_be_cut(tmp_path: Path) -> None:
    write(tmp_path)
    rows = "hands_condensed.csv#1,A,,\nhands_condensed.csv#3,B,0,1\nabsent.csv#1,C,,\n../x.csv#1,D,,\n"
    (tmp_path / "clips.csv").write_text("video,gloss,start_s,end_s\n" + rows)
    dataset = dataset_of(tmp_path / "clips.csv", tmp_path, features=True)
    manifest = manifest_of(dataset, tmp_path / "h.json", 1)
    assert manifest.clips["clip_id"].tolist() == ["hands_condensed/1"]
    assert manifest.rejects["reason"].tolist() == ["bad_row", "missing", "outside_root"]
    assert manifest.rejects["detail"][1] == f"{tmp_path}/absent.csv does not exist"


def test_positions_of_a_table_reach_the_splits(tmp_path: Path) -> None:
    words, positions = {"train": HEAD, "test": HEAD}, WORDS["hands_condensed.csv"].partition("\n")[0] + "\n"
    for video in range(1, 13):
        split, word = ("test" if video > 9 else "train"), ("JOHN", "WRITE")[video % 2]
        words[split] += f"{video},man-1,{word},2,20\n"
        positions += "".join(f"{video},{frame},{video},2,3,{frame},5,6\n" for frame in range(25))
    speakers = "video,speaker\n" + "".join(f"{video},man-1\n" for video in range(1, 13))
    tables = {f"{split}_words": lines for split, lines in words.items()}
    write(tmp_path, hands_condensed=positions, speaker=speakers, **tables)
    dataset = {"importer": "boston104", "table": str(tmp_path), "videos": str(tmp_path), "variations": None}
    parts = splits_in(to_splits(tmp_path / "out", dataset | {"frame_rate": 30.0}))
    assert {clip for clip, part in parts.items() if part == "test"} == {
        f"hands_condensed/{video}" for video in (10, 11, 12)
    }
    assert len(parts) == 12 and "train" in parts.values()


def test_a_path_is_split_only_behind_the_suffix_of_a_table() -> None:
    assert split_key(Path("a/hands.csv#9#8")) == (Path("a/hands.csv"), "9#8")
    for whole in ("a/hands.csv", "a/b#1.mp4", "hands.csv#", "b#1"):
        assert split_key(Path(whole)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,frame,x\n1,zero,5\n", r"line 2: frame 'zero': expected a whole number"),
        ("video,frame\n1,0\n", "expected at least one column of values besides video and frame"),
        ("frame,x\n0,5\n", "column 'video' is missing"),
    ],
)
def test_a_table_of_rows_that_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(SignloomError, match=message):
        RowTable(tmp_path / "t.csv")


def test_values_are_in_the_order_of_frames_with_gaps_in_time_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("video,frame,x,y\na,11,3,\na,10,1,2\nb,0,1,1\nb,2,1,1\nc,0,inf,1\n")
    table = RowTable(tmp_path / "t.csv")
    np.testing.assert_array_equal(table.values("a"), [[1, 2], [3, np.nan]])
    assert table.frames("a").tolist() == [10, 11]
    with pytest.raises(SignloomError, match="line 5: frame 2 follows 0"):
        table.values("b")
    with pytest.raises(SignloomError, match="line 6: 'inf': expected a number"):
        table.values("c")


def test_the_real_corpus_has_201_sentences_in_its_official_split(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "boston104"
    if not folder.is_dir():
        pytest.skip("no folder boston104 among the real recordings")
    manifest = manifest_of(params(folder), tmp_path / "h.json", 0)
    clips = manifest.clips
    assert clips["split"].value_counts().to_dict() == {"train": 161, "test": 40}
    assert clips["signer_id"].nunique() == 3
    glosses = {split: set(" ".join(part["gloss"]).split()) for split, part in clips.groupby("split")}
    assert len(glosses["train"]) == 112
    assert glosses["test"] - glosses["train"] == {"MUST"}
    with (folder / "hands_condensed.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    table = RowTable(folder / "hands_condensed.csv")
    assert sum(len(table.values(str(video))) for video in range(1, 202)) == len(lines) == 15746
    for video, times in zip(clips["clip_id"].str.split("/").str[-1], clips["gloss_times"], strict=True):
        assert json.loads(times)[-1][1] <= len(table.values(video)) / 30 + 1e-6
    last = [line for line in lines if line["video"] == "98"][-1]
    assert table.values("98")[-1].tolist() == [float(last[name]) for name in table.columns]
