"""Rows of a table, whatever its form, pass one gate: what cannot be shown or was cut off is a reject."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from form_stages import Read, read_corpus

from signloom.cells import CONTROL
from signloom.dataset.foreign_tables import read_foreign
from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import load_table
from signloom.dataset.manifest import shard_digests
from signloom.dataset.row_gate import SPECIALS
from signloom.dataset.sources import Table
from signloom.errors import SignloomError
from signloom.features.partial_shard import read_shard_list
from signloom.files import read_csv
from signloom.text import vocabulary
from tests.manifests import build, dataset_of, manifest_of
from tests.videos import write_video

HEADER = "video,sentence_id,sentence,gloss,category,signer_id,split"
LINK = '=HYPERLINK("http://example.org","here")'
QUOTED = '"=HYPERLINK(""http://example.org"",""here"")"'
JOINED = "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645 \U0001f468\u200d\U0001f467"  # Persian; a family


def videos(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        write_video(folder / "videos" / name, seed=number)
    return folder / "videos"


def read(folder: Path, *rows: str, header: str = HEADER) -> Read:
    """Return what stages sources, manifest and splits make of the table."""
    (folder / "t.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return read_corpus(folder, "csv", folder / "t.csv", folder / "videos")


def test_hostile_rows_become_rejects_and_nothing_raw_leaves_the_stages(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    videos(tmp_path, "a.mp4", "=b.mp4", *(f"{name}.mp4" for name in "cdefgh"), "k\x1b[2J.mp4")
    found = read(
        tmp_path,
        f"a.mp4,1,{QUOTED},-A,+1,@anna,train",
        f"=b.mp4,2,{JOINED},B,,anna,train",
        "c.mp4,3,On\x1b[31me.,C,,anna,train",
        "d.mp4,4,Two\x00.,D,,anna,train",
        "e.mp4,5,\u202eThree.,E,,anna,train",
        "f.mp4,6,Four.,F,,an\tna,train",
        'g.mp4,7,"Five\r\nlines\there.",G,," anna ",train ',
        "h.mp4,8,Six.,H,,an",
        "k\x1b[2J.mp4,9,Seven.,K,,anna,train",
        "=gone\x9b.mp4,10,Eight.,L,,anna,train",
        "=gone.mp4,11,Nine.,M,,anna,train",
    )
    clips = found.clips.set_index("clip_id")
    assert clips["sentence"].to_dict() == {"=b": JOINED, "a": LINK, "g": "Five lines here."}
    assert clips.loc["a", ["gloss", "category", "signer_id"]].tolist() == ["-A", "+1", "@anna"]
    assert clips.loc["g", ["signer_id", "split"]].tolist() == ["anna", "train"]
    rejects = read_csv(tmp_path / "stages/rejects.csv", dtype=str)
    why = rejects.set_index("row")[["clip_id", "reason", "detail"]]
    cannot = "holds what cannot be shown"
    assert why.loc[["4", "5", "6", "7", "10", "11", "12"]].to_numpy().tolist() == [
        ["c", "bad_row", f"sentence {cannot}: On\\u001b[31me."],
        ["d", "bad_row", f"sentence {cannot}: Two\\u0000."],
        ["e", "bad_row", f"sentence {cannot}: \\u202eThree."],
        ["f", "bad_row", f"signer_id {cannot}: an\\tna"],
        ["h", "bad_row", "has 6 fields but the table has 7 columns; an empty cell needs its separator too"],
        ["k\\u001b[2J", "bad_row", f"video {cannot}: k\\u001b[2J.mp4"],
        ["=gone\\u009b", "bad_row", f"video {cannot}: =gone\\u009b.mp4"],
    ]
    assert why.loc["13", ["clip_id", "reason"]].tolist() == ["=gone", "missing"]
    # the shard's list names the clip as it is, and no spreadsheet runs the cell
    assert {"a", "=b", "g"} <= {clip["clip_id"] for clip in read_shard_list(tmp_path / "stages/00.csv")}
    for path in (tmp_path / "stages").glob("*.csv"):
        text = path.read_text("utf-8")
        assert not CONTROL.search(text.replace("\n", ""))
        assert not any(cell.startswith("=") for line in text.splitlines() for cell in line.split(","))
    rows = pd.read_parquet(tmp_path / "stages/rows.parquet")
    assert not any(CONTROL.search(str(cell)) for cell in rows.to_numpy().ravel())
    said = capfd.readouterr()
    assert not CONTROL.search((said.out + said.err).replace("\n", ""))
    assert "rejected row 4: bad_row: sentence holds what cannot be shown: On\\u001b[31me." in said.err


def test_spaces_around_a_video_are_left_out_unless_its_file_has_them(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4", " b.mp4")
    manifest = build(tmp_path, "video,sentence,start_s\n a.mp4 ,One.,\n b.mp4,Two., 0.1 \n")
    assert manifest.clips["clip_id"].tolist() == [" b@0.1-", "a"] and manifest.rejects.empty


def test_two_spellings_of_a_signer_in_unicode_are_one_signer(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("video,sentence,signer_id\na,A,Zo\u00eb\nb,B,Zoe\u0308\n", "utf-8")
    assert load_table("csv", tmp_path / "t.csv", tmp_path)["signer_id"].tolist() == ["Zo\u00eb"] * 2


def test_marks_around_lines_of_right_to_left_scripts_are_left_out(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4", "b.mp4")
    variations = '"[""\u202bشكرا\u202c""]"'
    header = "video,split,sentence,gloss,text_variations"
    found = read(
        tmp_path,
        f"a.mp4,train,\u202bشكرا جزيلا\u202c,\u2067شكرا\u2069,{variations}",
        "b.mp4,train,\u2068Ayşe\u2069 geldi,AYŞE GELMEK,",
        header=header,
    )
    assert found.clips["sentence"].tolist() == ["شكرا جزيلا", "Ayşe geldi"]
    assert found.clips["gloss"].tolist() == ["شكرا", "AYŞE GELMEK"]
    assert found.clips["text_variations"].tolist() == ['["شكرا"]', "[]"]
    rows = pd.read_parquet(tmp_path / "stages/rows.parquet")
    assert not any(CONTROL.search(str(cell)) for cell in rows.to_numpy().ravel())


def test_a_name_with_marks_that_nobody_sees_is_the_name_without_them(tmp_path: Path) -> None:
    names = ["Noa  L", "\u200fNoa  L\u200e ", "Noa  L\u200d", " \u200bNoa \u2060 L"]
    rows = "\n".join(f"{number}.mp4,S {number},{name},train\u200f" for number, name in enumerate(names))
    (tmp_path / "t.csv").write_text(f"video,sentence,signer_id,split\n{rows}\n", "utf-8")
    table = load_table("csv", tmp_path / "t.csv", tmp_path)
    assert set(table["signer_id"]) == {"Noa  L"} and set(table["split"]) == {"train"}


def test_variations_that_cannot_be_shown_are_refused_where_they_stand(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    variations = ['["A \\u001b[2J"]', '["A\\tB"]', '[\n "I."]']
    rows = pd.DataFrame(
        {"video": ["a.mp4", "b.mp4", "c.mp4"], "sentence": "One.", "text_variations": variations}
    )
    manifest = build(tmp_path, rows.to_csv(index=False))
    assert manifest.rejects[["row", "reason", "detail"]].to_numpy().tolist() == [
        [2, "bad_row", "text_variations holds what cannot be shown: A \\u001b[2J"]
    ]
    assert [json.loads(texts) for texts in manifest.clips["text_variations"]] == [["A B"], ["I."]]
    (tmp_path / "v.json").write_text('{"1": ["A \\u009b"]}')
    with pytest.raises(SignloomError, match="sentence_id 1: expected texts without control characters"):
        build(tmp_path, "video,sentence\na.mp4,One.\n", variations=str(tmp_path / "v.json"))


def test_a_row_that_is_rejected_gives_no_other_row_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("video,sentence_id,sentence,gloss\na,1,On\x00e.,A\nb,1,,A\n")
    assert load_table("csv", tmp_path / "t.csv", tmp_path)["sentence"].tolist() == ["On\\u0000e.", "A"]


def test_a_folder_whose_name_cannot_be_shown_is_a_reject(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    write_video(folder / "GOOD/1.mp4")
    write_video(folder / "BAD/1.mp4", seed=1)
    (folder / "BAD").rename(folder / "x\x1b[2J")
    manifest = manifest_of(dataset_of(folder, folder, "folders"), tmp_path / "h.json")
    assert manifest.clips["clip_id"].tolist() == ["GOOD/1"]
    ((clip_id, row, reason),) = manifest.rejects[["clip_id", "row", "reason"]].to_numpy().tolist()
    assert reason == "bad_row" and "\\u" in clip_id and not CONTROL.search(clip_id + row)


@pytest.mark.parametrize(
    ("files", "rows", "kept"),
    [
        # a cut of one file, and another file of that name
        (["a.mp4", "a@0-0.1.mp4"], ["a.mp4,One.,0,0.1", "a@0-0.1.mp4,Two.,,"], "a@0-0.1"),
        # a suffix that stays because of c.avi, and one that goes
        (["c.mp4.avi", "c.mp4", "c.avi"], ["c.mp4.avi,A,,", "c.mp4,B,,", "c.avi,C,,"], "c.mp4"),
        # what nobody can tell apart by reading
        (["\u00e9.mp4", "e\u0301.mp4"], ["\u00e9.mp4,One.,,", "e\u0301.mp4,Two.,,"], "\u00e9"),
    ],
)
def test_no_two_clips_have_one_id(tmp_path: Path, files: list[str], rows: list[str], kept: str) -> None:
    videos(tmp_path, *files)
    table = "\n".join(["video,sentence,start_s,end_s", *rows, ""])
    manifest = build(tmp_path, table)
    ids = manifest.clips["clip_id"].tolist()
    assert ids.count(kept) == 1 and len(ids) == len(files) - 1
    (reject,) = manifest.rejects.itertuples()
    assert reject.reason == "same_id" and f"row 2 has the clip id {unicodedata.normalize('NFC', kept)}" in (
        unicodedata.normalize("NFC", reject.detail)
    )
    # the digests know, before the manifest does, that only one of the rows is a clip
    dataset = dataset_of(tmp_path / "clips.csv", tmp_path / "videos")
    before = shard_digests(Table.read(dataset, HashCache(tmp_path / "h.json")), 1)
    (tmp_path / "clips.csv").write_text("\n".join([*table.splitlines()[:1], *reversed(rows), ""]), "utf-8")
    assert shard_digests(Table.read(dataset, HashCache(tmp_path / "h.json")), 1) != before


@pytest.mark.parametrize("importer", ["subtitles", "folders"])
def test_a_file_name_that_is_no_text_is_one_clear_error(tmp_path: Path, importer: str) -> None:
    folder, name = videos(tmp_path, "GOOD/a.mp4"), os.fsdecode(b"x\xff")
    (folder / f"{name}.srt").write_text("1\n00:00:00,000 --> 00:00:01,500\nSnow.\n")
    write_video(folder / "BAD/a.mp4").parent.rename(folder / name)
    with pytest.raises(SignloomError, match=r"file name x\\udcff.* is no text; rename it"):
        load_table(importer, folder, folder)


def test_names_that_differ_in_letter_case_or_in_a_space_are_clips_of_their_own(tmp_path: Path) -> None:
    folder = videos(tmp_path, "a b.mp4", "a_b.mp4", "A_B.mp4")
    if len(list(folder.iterdir())) < 3:
        pytest.skip("this disk takes A and a for one name")
    rows = "\n".join(f"{name}.mp4,S {number}." for number, name in enumerate(("a b", "a_b", "A_B")))
    assert build(tmp_path, f"video,sentence\n{rows}\n").clips["clip_id"].tolist() == ["A_B", "a b", "a_b"]


def test_a_table_of_another_form_rejects_short_rows_too(tmp_path: Path) -> None:
    (tmp_path / "form.yaml").write_text(
        "columns:\n  video: '{file}.mp4'\n  sentence: '{said}'\n  signer_id: '{who}'\n"
    )
    (tmp_path / "t.csv").write_text("file,said,who\na,One.,anna\nb,Two.\n")
    rows = load_table(str(tmp_path / "form.yaml"), tmp_path / "t.csv", tmp_path)
    assert rows["video"].tolist() == ["a.mp4", ""]
    assert rows["problem"].tolist()[0] == "" and "has 2 fields" in rows["problem"][1]


@pytest.mark.parametrize("row", ["b.mp4,TREE", "b.mp4,TR\x1bEE,anna"])
def test_a_table_with_foreign_names_is_not_copied_with_rows_that_the_copy_would_hide(
    tmp_path: Path, row: str
) -> None:
    folder = videos(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "t.csv").write_text(f"file,label,who\na.mp4,BALL,anna\n{row}\n")
    with pytest.raises(SignloomError, match=r"t\.csv: line 3: "):
        read_foreign(tmp_path / "t.csv", folder)


def test_a_gloss_with_a_name_of_the_vocabulary_is_rejected_by_its_row(tmp_path: Path) -> None:
    assert list(SPECIALS) == vocabulary.SPECIALS
    folder = videos(tmp_path, "a.mp4", "b.mp4")
    assert folder.is_dir()
    made = build(tmp_path, "video,sentence,gloss\na.mp4,One.,ONE\nb.mp4,Two <unk>.,<unk> TWO\n")
    assert made.clips["clip_id"].tolist() == ["a"]
    assert made.rejects["detail"].tolist() == [
        "gloss '<unk>' is a name of the vocabulary's own; write it otherwise"
    ]


def test_a_cell_may_be_very_long(tmp_path: Path) -> None:
    videos(tmp_path, "a.mp4")
    long = "word " * 40_000
    made = build(tmp_path, f"video,sentence\na.mp4,{long}\n")
    assert made.clips["sentence"].tolist() == [long.strip()]
