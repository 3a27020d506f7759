"""The manifest: importers, row checks, rejects, shards, and its command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from demo_params import params_json
from hypothesis import given
from hypothesis import strategies as st

from signloom.dataset.forms.texts import sentence_number
from signloom.dataset.importers import load_table
from signloom.dataset.shard_names import shard_names, shard_of
from signloom.errors import SignloomError
from tests.manifests import build, dataset_of
from tests.videos import write_video
from workflow_scripts import manifest as stage
from workflow_scripts import sources as sources_stage


def test_an_absolute_path_below_the_folder_is_a_path_below_it(tmp_path: Path) -> None:
    video = write_video(tmp_path / "videos/s1/a.mp4")
    manifest = build(tmp_path, f"video,sentence_id,sentence\n{video.absolute()},1,One.\n")
    assert manifest.clips["clip_id"].tolist() == ["s1/a"]


def test_files_that_macos_leaves_are_no_clips(tmp_path: Path) -> None:
    for sign in ("A", "B"):
        write_video(tmp_path / f"videos/{sign}/1.mp4", seed=ord(sign))
        (tmp_path / f"videos/{sign}/._1.mp4").write_bytes(b"\0" * 99)
    (tmp_path / "videos/._A").mkdir()
    rows = load_table("folders", tmp_path / "videos", tmp_path / "videos")
    assert rows["video"].tolist() == ["A/1.mp4", "B/1.mp4"]
    (tmp_path / "t.srt").write_text("1\n00:00:00,000 --> 00:00:00,100\nOne.\n")
    (tmp_path / "._t.srt").write_bytes(b"\0\5\x16\7")
    write_video(tmp_path / "t.mp4")
    assert load_table("subtitles", tmp_path, tmp_path)["video"].tolist() == ["t.mp4"]


def test_every_bad_row_is_rejected_with_its_reason_and_line(tmp_path: Path) -> None:
    good = write_video(tmp_path / "videos/s1/a.mp4")
    (tmp_path / "videos/copy.mp4").write_bytes(good.read_bytes())
    (tmp_path / "videos/text.mp4").write_text("not a video")
    (tmp_path / "videos/notes.txt").write_text("not a video")
    write_video(tmp_path / "outside.mp4", seed=1)
    write_video(tmp_path / "videos/b.mp4", seed=2)
    table = """video,sentence_id,sentence,start_s,end_s
s1/a.mp4,1,One.,,
copy.mp4,1,One.,,
text.mp4,1,One.,,
notes.txt,1,One.,,
gone.mp4,1,One.,,
../outside.mp4,1,One.,,
b.mp4,many,One.,,
b.mp4,1,One.,2,1
b.mp4,1,One.,soon,
b.mp4,1,,,
"""
    manifest = build(tmp_path, table)
    assert manifest.clips["clip_id"].tolist() == ["s1/a"]
    assert dict(zip(manifest.rejects["row"], manifest.rejects["reason"], strict=True)) == {
        3: "duplicate",
        4: "unreadable",
        5: "unreadable",
        6: "missing",
        7: "outside_root",
        8: "bad_row",
        9: "bad_row",
        10: "bad_row",
        11: "bad_row",
    }


def test_too_many_rejects_stop_the_run_and_say_what_to_look_at(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/a.mp4")
    with pytest.raises(SignloomError, match=r"1 of 2 rows rejected.*max_reject_ratio 0\.1.*gone\.mp4"):
        build(tmp_path, "video,sentence_id,sentence\na.mp4,1,One.\ngone.mp4,2,Two.\n", ratio=0.1)


def test_segments_of_one_video_are_clips_of_their_own(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/a.mp4")
    second = "a.mp4,2,Two.,0.1,0.2\n"
    rows = f"video,sentence_id,sentence,start_s,end_s\na.mp4,1,One.,0,0.1\n{second}{second}"
    manifest = build(tmp_path, rows)
    assert manifest.clips["clip_id"].tolist() == ["a@0-0.1", "a@0.1-0.2"]
    assert manifest.rejects["reason"].tolist() == ["duplicate"]


def test_a_whole_video_is_one_clip_however_its_times_are_written(tmp_path: Path) -> None:
    write_video(tmp_path / "videos" / "a.mp4", 25, seed=0)
    shutil.copy(tmp_path / "videos" / "a.mp4", tmp_path / "videos" / "b.mp4")
    rows = [
        "a.mp4,One.,,",
        "b.mp4,One.,0,",
        "b.mp4,One.,,99",
        "a.mp4,One.,0,99",
        "a.mp4,One.,0.2,",
        "b.mp4,One.,0.2,99",
    ]
    manifest = build(tmp_path, "video,sentence,start_s,end_s\n" + "\n".join(rows) + "\n")
    assert sorted(manifest.clips["clip_id"]) == ["a", "a@0.2-"]
    assert manifest.rejects["reason"].tolist() == ["duplicate"] * 4


def test_files_of_equal_name_keep_ids_apart(tmp_path: Path) -> None:
    for number, name in enumerate(["s1/a.mp4", "s2/a.mp4", "b.mp4", "b.avi"]):
        write_video(tmp_path / "videos" / name, seed=number)
    rows = "video,sentence_id,sentence\ns1/a.mp4,1,One.\ns2/a.mp4,1,One.\nb.mp4,1,One.\nb.avi,1,One.\n"
    assert build(tmp_path, rows).clips["clip_id"].tolist() == ["b.avi", "b.mp4", "s1/a", "s2/a"]


def test_a_clip_without_sentence_and_gloss_is_unsigned(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/a.mp4")
    assert build(tmp_path, "video,sentence_id,sentence\na.mp4,-1,\n").clips["sentence_id"].tolist() == [-1]


def test_a_row_that_names_no_video_is_missing_and_reads_nothing(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/a.mp4")
    table = "video,sentence_id,sentence,start_s\na.mp4,1,One.,\n,1,One.,\n.,1,One.,2\n"
    manifest = build(tmp_path, table)
    assert manifest.rejects[["clip_id", "video_path", "row", "reason", "detail"]].to_numpy().tolist() == [
        ["", "", row, "missing", "the row names no video"] for row in (3, 4)
    ]
    assert list(json.loads((tmp_path / "hashes.json").read_text())) == [str(tmp_path / "videos/a.mp4")]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_line_with_a_field_too_many_is_named(tmp_path: Path, suffix: str) -> None:
    table = 'video,sentence_id,sentence\na.mp4,1,"Two\nlines."\n\nb.mp4,2,Hello, you.\n'
    path = tmp_path / f"t.{suffix}"
    path.write_text(table.replace(",", "\t") if suffix == "tsv" else table)
    with pytest.raises(SignloomError, match=rf"t\.{suffix}: line 5 has 4 fields .* 3 columns"):
        load_table("csv", path, tmp_path)


def test_a_line_with_fields_too_few_ends_in_empty_ones_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("video,sentence,signer_id\na.mp4\nNA,NA\n")
    rows = load_table("csv", tmp_path / "t.csv", tmp_path)
    assert rows[["row", "video", "sentence", "signer_id"]].to_numpy().tolist() == [
        [2, "a.mp4", "", ""],
        [3, "NA", "NA", ""],
    ]
    assert rows["problem"].tolist() == [
        f"has {found} but the table has 3 columns; an empty cell needs its separator too"
        for found in ("1 field", "2 fields")
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "the table is empty"),
        (b'video,sentence\na.mp4,"One.\n', "line 2 is not a readable table row"),
        (b"video,sentence,video\na.mp4,One.,b.mp4\n", "two columns are called 'video'"),
        (b"video,sentence\na.mp4,\xff\n", "line 2 is no UTF-8 text; save the file as CSV UTF-8"),
    ],
)
def test_a_damaged_table_is_one_clear_error(tmp_path: Path, table: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(table)
    with pytest.raises(SignloomError, match=message):
        load_table("csv", tmp_path / "t.csv", tmp_path)


def test_a_gloss_line_stands_for_a_sentence_that_is_not_there(tmp_path: Path) -> None:
    for number, name in enumerate("abcd"):
        write_video(tmp_path / f"videos/{name}.mp4", seed=number)
    table = "video,gloss\na.mp4,DOG  EAT\nb.mp4,DOG EAT\nc.mp4,CAT\nd.mp4,\n"
    clips = build(tmp_path, table).clips
    assert clips["sentence"].tolist() == clips["gloss"].tolist() == ["DOG EAT", "DOG EAT", "CAT", ""]
    dog, cat = sentence_number("DOG EAT"), sentence_number("CAT")
    assert clips["sentence_id"].tolist() == [dog, dog, cat, -1]


def test_a_table_may_mix_sentences_and_glosses_and_rows_with_and_without_ids(tmp_path: Path) -> None:
    for number, name in enumerate("abcde"):
        write_video(tmp_path / f"videos/{name}.mp4", seed=number)
    table = """video,sentence_id,sentence,gloss
a.mp4,7,,DOG EAT
b.mp4,7,The dog eats.,DOG EAT
c.mp4,,The dog eats.,
d.mp4,,,CAT
e.mp4,,A bird.,BIRD
"""
    manifest = build(tmp_path, table)
    assert manifest.rejects.empty
    assert manifest.clips[["sentence_id", "sentence"]].to_numpy().tolist() == [
        [7, "The dog eats."],
        [7, "The dog eats."],
        [7, "The dog eats."],
        [sentence_number("CAT"), "CAT"],
        [sentence_number("A bird."), "A bird."],
    ]


def test_a_second_sentence_of_one_id_is_rejected_and_another_spelling_in_unicode_is_not(
    tmp_path: Path,
) -> None:
    for number, name in enumerate("abc"):
        write_video(tmp_path / f"videos/{name}.mp4", seed=number)
    composed, split = "Gr\u00fc\u00dfe.", "Gru\u0308\u00dfe."
    table = f"video,sentence_id,sentence\na.mp4,1,{composed}\nb.mp4,1,{split}\nc.mp4,1,Danke.\n"
    manifest = build(tmp_path, table)
    assert manifest.clips["sentence"].tolist() == [composed, composed]
    assert manifest.rejects[["row", "reason"]].to_numpy().tolist() == [[4, "conflicting_sentence"]]
    assert manifest.rejects["detail"][0] == f"sentence_id 1 means 'Danke.' here and {composed!r} in clip a"


@pytest.mark.parametrize("texts", ['"One."', "[1]", '["One.", " "]', "null"])
def test_variations_that_are_no_list_of_texts_name_their_sentence(tmp_path: Path, texts: str) -> None:
    write_video(tmp_path / "videos/a.mp4")
    (tmp_path / "v.json").write_text(f'{{"8": ["Eight."], "12": {texts}}}')
    with pytest.raises(SignloomError, match=r"v\.json: sentence_id 12: expected a list of non-empty texts"):
        build(tmp_path, "video,sentence\na.mp4,One.\n", variations=str(tmp_path / "v.json"))


@pytest.mark.parametrize("cell", ["Another.", '"Another."', "[1]", "5", "null", '{"a": "b"}'])
def test_a_row_whose_variations_are_no_list_of_texts_is_rejected(tmp_path: Path, cell: str) -> None:
    for number, name in enumerate("ab"):
        write_video(tmp_path / f"videos/{name}.mp4", seed=number)
    rows = pd.DataFrame(
        {"video": ["a.mp4", "b.mp4"], "sentence": "One.", "text_variations": [cell, '["I."]']}
    )
    manifest = build(tmp_path, rows.to_csv(index=False))
    assert manifest.rejects[["row", "reason"]].to_numpy().tolist() == [[2, "bad_row"]]
    assert "text_variations" in manifest.rejects["detail"][0]
    assert manifest.clips["text_variations"].tolist() == ['["I."]']


def test_variations_leave_out_the_sentence_itself(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/a.mp4")
    (tmp_path / "v.json").write_text('{"1": ["One.", "A one.", "A one."], "9": ["Nine."]}')
    manifest = build(
        tmp_path, "video,sentence_id,sentence\na.mp4,1,One.\n", variations=str(tmp_path / "v.json")
    )
    assert json.loads(manifest.clips["text_variations"][0]) == ["A one."]


def test_the_text_of_users_survives_quotes_commas_and_umlauts(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/a.mp4")
    manifest = build(tmp_path, 'video,sentence_id,sentence\na.mp4,1,"Grüß „dich"", sagt sie, 你好"\n')
    assert manifest.clips["sentence"][0] == 'Grüß „dich", sagt sie, 你好'


def test_a_folder_of_frames_is_a_clip_whose_hash_follows_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "videos/frames"
    folder.mkdir(parents=True)
    assert cv2.imwrite(str(folder / "0001.png"), np.zeros((8, 8, 3), np.uint8))
    first = build(tmp_path, "video,sentence_id,sentence\nframes,1,One.\n").clips["video_hash"][0]
    assert cv2.imwrite(str(folder / "0001.png"), np.ones((8, 8, 3), np.uint8))
    assert build(tmp_path, "video,sentence_id,sentence\nframes,1,One.\n").clips["video_hash"][0] != first


@pytest.mark.parametrize("importer", ["csv", "signtalk"])
def test_a_damaged_workbook_is_one_clear_error(tmp_path: Path, importer: str) -> None:
    path = tmp_path / "clips.xlsx"
    sheet = pd.DataFrame({"Sentence ID": [5], "Sentence": ["One."], "Text": ["x"]})
    sheet.to_excel(path, sheet_name="Other", index=False)
    if importer == "signtalk":
        with pytest.raises(SignloomError, match=r"not a readable workbook: .*Sheet1"):
            load_table(importer, path, tmp_path)
    data = path.read_bytes()
    middle = len(data) // 2
    for damaged in (b"", b"no workbook", data[:middle], data[:60] + bytes(400) + data[460:]):
        path.write_bytes(damaged)
        with pytest.raises(SignloomError, match="not a readable workbook"):
            load_table(importer, path, tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "does not exist"),
        ("sentence_id,sentence\n1,One.\n", "column 'video' is missing; the table has: sentence_id, sentence"),
        ("video,signer_id\na.mp4,s1\n", "column `sentence` or `gloss` is missing"),
        ("video,sentence_id,sentence\n", "the table has no clip"),
    ],
)
def test_a_bad_table_is_one_clear_error(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "videos").mkdir()
    with pytest.raises(SignloomError, match=message):
        build(tmp_path, table, importer="csv")


@given(st.text(min_size=1), st.integers(1, 2000))
def test_a_clips_shard_is_one_of_the_names_and_stays(clip_id: str, count: int) -> None:
    assert shard_of(clip_id, count) in shard_names(count)
    assert shard_of(clip_id, count) == shard_of(clip_id, count)


def test_a_clips_shard_is_the_head_of_its_sha256_modulo_the_count() -> None:
    # a change here would rerun every user's landmarks: ba7816bf8f01cfea begins the published SHA-256 of "abc"
    assert shard_of("abc", 1000) == f"{0xBA7816BF8F01CFEA % 1000:03d}"


def run_stages(tmp_path: Path, mode: str, text: str = "sentence", **more: dict[str, str]) -> int:
    """Run stages sources and manifest on four clips without signers and splits; return the exit code.

    `text` is the column of the texts, and `more` are further sections.
    """
    for number in range(4):
        write_video(tmp_path / f"videos/{number}.mp4", seed=number)
    (tmp_path / "clips.csv").write_text(
        f"video,sentence_id,{text}\n"
        + "".join(f"{n}.mp4,{n},{'S' if text == 'gloss' else 'S '}{n}\n" for n in range(4))
    )
    params = {
        "dataset": dict(dataset_of(tmp_path / "clips.csv", tmp_path / "videos")),
        "manifest": {"max_reject_ratio": 0.1},
        "shards": {"count": 3},
        "splits": {"mode": mode},
        **more,
    }
    out = tmp_path / "out"
    common = ["--params", params_json(params), "--scratch", str(out / "scratch")]
    assert sources_stage.main([*common, "--output", f"rows={out}/rows.parquet"]) == 0
    argv = [*common, "--input", f"rows={out}/rows.parquet", "--output"]
    argv += [f"shards={out}/{name}.csv" for name in shard_names(3)]
    argv += [f"{name}={out}/{name}" for name in ("manifest", "rejects", "metrics")]
    return stage.main(argv)


def test_a_table_that_cannot_be_split_stops_the_stage_before_it_writes_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for mode, lack in (
        ("signer", "4 of 4 signed clips have no signer_id"),
        ("predefined", "no usable split"),
    ):
        assert run_stages(tmp_path, mode) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
        assert lack in line
        assert [path.name for path in (tmp_path / "out").glob("*") if path.is_file()] == ["rows.parquet"]


def test_the_stage_warns_where_a_decoder_would_be_trained_on_single_signs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def warned(text: str, **more: dict[str, str]) -> str:
        assert run_stages(tmp_path, "clip", text, **more) == 0
        return "".join(line for line in capsys.readouterr().err.splitlines() if "sign2text.task" in line)

    decoder, none = {"task": "sentences"}, {"task": "signs"}
    assert warned("gloss", sign2text=decoder).startswith("warning: manifest: every text is one gloss")
    assert warned("gloss", sign2text=none) == warned("sentence", sign2text=decoder) == warned("gloss") == ""
    assert "not every text is one gloss" in warned("sentence", sign2text=none)


def test_the_stage_writes_all_its_files_and_shards_hold_every_clip(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_stages(tmp_path, "clip") == 0
    shards = pd.concat(pd.read_csv(out / f"{name}.csv") for name in shard_names(3))
    assert sorted(shards["clip_id"].astype(str)) == ["0", "1", "2", "3"]
    assert json.loads((out / "metrics").read_text())["all"]["clips"] == 4
    assert not list(out.rglob("*.part"))


def test_loaded_rows_have_every_column_of_the_form(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("video,sentence\na.mp4,One.\n")
    row = load_table("csv", tmp_path / "t.csv", tmp_path).iloc[0]
    assert row["row"] == 2
    assert int(row["sentence_id"]) > 0
    assert row["split"] == ""
