"""What is said about tables of other forms, cuts beyond the end and unknown importers; kinds of videos."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import av
import numpy as np
import pandas as pd
import pytest
import yaml
from demo_params import section

from signloom.dataset.forms.mapping import read_form
from signloom.dataset.importers import load_table
from signloom.dataset.probe import VIDEO_SUFFIXES, length_s, why_unreadable
from signloom.errors import SignloomError
from signloom.params.dataset import FORMS, IMPORTERS, DatasetParams
from signloom.params.load import check_params, load_params, overlay, read_yaml
from signloom.video.decode import read_frames
from tests.form_files import (
    HOW2SIGN,
    SRT,
    bobsl,
    english,
    instance,
    msasl,
    tiers,
    values,
    wlasl,
    write,
    write_videos,
)
from tests.manifests import build
from tests.videos import write_varying

TABLES = {
    "how2sign": HOW2SIGN + "a\ta\ta\ta\t0\t1\tHi!\n",
    "autsl": "signer0_sample1,41\r\n",
    "gsl": "police1/police1_signer3_rep3_sentences/sentences0000|ΓΕΙΑ ΕΓΩ(1)\n",
    "asl_citizen": "Participant ID,Video file,Gloss,ASL-LEX Code\nP1,a.mp4,A,A_1\n",
    "include": "Category,Word,Video,FilePath\nx,1. loud,a.MOV,x/a.MOV\n",
    "multimodalhugs": "signal\tsignal_start\tsignal_end\tencoder_prompt\tdecoder_prompt\toutput\n",
    "phoenix2014": "id|folder|signer|annotation\na|a/1/*.png|S|X\n",
    "phoenix2014t": "name|video|start|end|speaker|orth|translation\na|a|-1|-1|S|X|x\n",
    "csv": "video,sentence\na.mp4,One.\n",
    "processed": "video_file,feature_path,sentence_id,sentence,category\na.mp4,a.npy,1,One.,x\n",
}
GIVEN = ("csv", "how2sign", "asl_citizen", "elan", "wlasl", "processed", "signtalk_sampled")


def test_a_time_with_a_decimal_comma_is_told_the_point(tmp_path: Path) -> None:
    write_videos(tmp_path / "videos", "a.mp4", "b.mp4")
    manifest = build(tmp_path, "video;sentence;start_s\na.mp4;One.;0,5\nb.mp4;Two.;\n")
    assert manifest.rejects["detail"].tolist() == [
        "start_s '0,5' is not a time in seconds; write 0.5, with a point"
    ]
    clock = build(tmp_path, "video;sentence;start_s\na.mp4;One.;0:01:02.5\nb.mp4;Two.;\n").rejects["detail"]
    assert clock.tolist() == ["start_s '0:01:02.5' is not a time in seconds; write 62.5"]


def test_a_table_with_semicolons_that_lacks_a_column_gets_its_name(tmp_path: Path) -> None:
    file = write(tmp_path, clips__csv="datei;sentence\na.mp4;Hi, you.\n") / "clips.csv"
    with pytest.raises(SignloomError, match=r"column 'video' is missing; the table has: datei, sentence"):
        load_table("csv", file, tmp_path)


def test_a_line_that_tells_a_spreadsheet_the_separator_is_no_header(tmp_path: Path) -> None:
    file = write(tmp_path, clips__csv="sep=;\r\nvideo;sentence\r\na.mp4;Hi, you.\r\n") / "clips.csv"
    assert values(load_table("csv", file, tmp_path), "row", "video", "sentence") == [
        ["3", "a.mp4", "Hi, you."]
    ]


@pytest.mark.parametrize(
    ("likely", "given"), [(likely, given) for likely in TABLES for given in GIVEN if given != likely]
)
def test_a_table_of_another_form_gets_one_line_that_names_its_form(
    tmp_path: Path, likely: str, given: str
) -> None:
    file = write(tmp_path, clips__csv=TABLES[likely]) / "clips.csv"
    with pytest.raises(SignloomError) as error:
        load_table(given, file, tmp_path)
    assert str(error.value) == (
        f"dataset.table: {file} looks like the form {likely}; set dataset.importer to {likely}"
    )


def test_files_and_folders_of_the_importers_in_code_are_known(tmp_path: Path) -> None:
    found = {
        "elan": english(tmp_path / "elan"),
        "subtitles": write(tmp_path / "srt", a__srt=SRT) / "a.srt",
        "wlasl": wlasl(tmp_path / "w"),
        "msasl": msasl(tmp_path / "m") / "MSASL_train.json",
    }
    folders = {
        "elan": tmp_path / "elan",
        "subtitles": tmp_path / "srt",
        "msasl": tmp_path / "m",
        "bobsl": bobsl(tmp_path / "b"),
        "folders": write_videos(tmp_path / "f", "sign/a.mp4"),
    }
    for name, table in [*found.items(), *folders.items()]:
        with pytest.raises(
            SignloomError, match=rf"looks like the form {name}; set dataset\.importer to {name}$"
        ):
            load_table("csv", table, tmp_path)


@pytest.mark.parametrize("given", ["subtitles", "elan", "how2sign", "phoenix2014", "signtalk", "bobsl"])
def test_every_importer_says_what_a_file_of_another_kind_is(tmp_path: Path, given: str) -> None:
    table = wlasl(tmp_path)
    with pytest.raises(SignloomError, match=r"looks like the form wlasl; set dataset\.importer to wlasl$"):
        load_table(given, table, tmp_path)


@pytest.mark.parametrize("given", ["csv", "wlasl", "elan", "how2sign", "phoenix2014", "fairseq"])
def test_every_importer_knows_the_workbook_of_signtalk(tmp_path: Path, given: str) -> None:
    table = tmp_path / "Metadata.xlsx"
    sheet = pd.DataFrame({"Sentence ID": ["1"], "Sentence": ["One."], "Text": ["x"]})
    sheet.to_excel(table, sheet_name="Sheet1", index=False)
    with pytest.raises(
        SignloomError, match=r"looks like the form signtalk; set dataset\.importer to signtalk$"
    ):
        load_table(given, table, tmp_path)


def test_a_corpus_that_has_subtitles_is_not_read_as_subtitles_alone(tmp_path: Path) -> None:
    with pytest.raises(SignloomError, match=r"looks like the form bobsl; set dataset\.importer to bobsl$"):
        load_table("subtitles", bobsl(tmp_path), tmp_path)


def test_subtitles_beside_annotations_of_another_kind_are_still_read(tmp_path: Path) -> None:
    english(tmp_path)
    assert len(load_table("subtitles", write(tmp_path, a__srt=SRT), tmp_path)) == 2


@pytest.mark.parametrize("importer", ["elan", "subtitles", "fairseq"])
def test_a_folder_without_annotation_files_is_named(tmp_path: Path, importer: str) -> None:
    write(tmp_path / "t", readme__md="x")
    with pytest.raises(SignloomError, match=r"^dataset\.table: .*t holds no \.[a-z]+( or \.vtt)? file$"):
        load_table(importer, tmp_path / "t", tmp_path, tiers({"sentence": "s"}), frame_rate=25.0)


@pytest.mark.parametrize("importer", ["csv", "fairseq", "wlasl", "asl_citizen"])
def test_a_name_that_can_be_no_path_is_a_row_like_another(tmp_path: Path, importer: str) -> None:
    name = "y" * 300
    tables = {
        "csv": f"video,sentence\n{name},One.\n",
        "fairseq": f"id\tsigns_file\tsigns_offset\tsigns_length\ttranslation\na\t{name}\t0\t3\tOne.\n",
        "wlasl": json.dumps([{"gloss": "book", "instances": [instance(name, 2, 3)]}]),
        "asl_citizen": f"Participant ID,Video file,Gloss,ASL-LEX Code\nP1,{name},A,A_1\n",
    }
    file = write(tmp_path, clips__csv=tables[importer]) / "clips.csv"
    rows = load_table(importer, file, tmp_path, frame_rate=25.0)
    assert [name in video for video in rows["video"]] == [True]


def test_a_table_without_names_of_columns_is_told_so(tmp_path: Path) -> None:
    file = write(tmp_path, clips__csv="a.mp4,One.\nb.mp4,Two.\n") / "clips.csv"
    with pytest.raises(SignloomError, match=r"clips\.csv has no first line that names the columns"):
        load_table("csv", file, tmp_path)


@pytest.mark.parametrize(("ours", "theirs"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_columns_of_a_form_are_found_however_their_letters_are_composed(
    tmp_path: Path, ours: Literal["NFC", "NFD"], theirs: Literal["NFC", "NFD"]
) -> None:
    form = """
columns: {video: "{Gebärde}.mp4", sentence: Übersetzung}
join: {file: texte.csv, column: Gebärde, key: Schlüssel}
"""
    write(tmp_path, own__yaml=normalize(ours, form))
    write(tmp_path, t__csv=normalize(theirs, "Gebärde,Ort\na,x\n"))
    write(tmp_path, texte__csv=normalize(theirs, "Schlüssel,Übersetzung\na,Hi.\n"))
    rows = load_table(str(tmp_path / "own.yaml"), tmp_path / "t.csv", tmp_path)
    assert values(rows, "video", "sentence") == [["a.mp4", "Hi."]]


@pytest.mark.parametrize("separator", ["\t", ";", "|"])
def test_our_own_columns_are_read_with_any_separator(tmp_path: Path, separator: str) -> None:
    text = f'video{separator}sentence\na.mp4{separator}"One, two{separator} three."\n'
    file = write(tmp_path, clips__csv=text) / "clips.csv"
    assert load_table("csv", file, tmp_path)["sentence"].tolist() == [
        f"One, two{separator} three.".replace("\t ", " ")
    ]


def test_the_page_on_forms_has_a_preset_for_each_importer_that_loads(root: Path, tmp_path: Path) -> None:
    page = (root / "docs/annotation-forms.md").read_text("utf-8")
    params, found = read_yaml(root / "params.yaml"), set()
    forms = {path.stem: read_form(path) for path in root.glob("signloom/dataset/forms/*.yaml")}
    without = {"signtalk", "signtalk_sampled", "subtitles"}
    without |= {name for name, form in forms.items() if "gloss" not in form.columns}
    assert "how2sign" in without
    for text in re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S):
        tree = overlay(params, yaml.safe_load(text))
        checked = check_params(tree, [root / "params.yaml"])
        found.add(checked.dataset.importer)
        # `check` and the gloss models stop where no clip has a gloss
        assert checked.dataset.importer not in without or checked.pipeline.families == ["sign2text"], text
    assert found >= {*IMPORTERS, *FORMS}
    (own,) = re.findall(r"^```yaml title=.*?\n(.*?)^```$", page, re.M | re.S)
    assert read_form(write(tmp_path, own__yaml=own) / "own.yaml").times.unit == "clock"


def test_an_unknown_importer_is_refused_with_the_names(root: Path, tmp_path: Path) -> None:
    text = (root / "params.yaml").read_text("utf-8").replace("importer: csv", "importer: how3sign")
    file = write(tmp_path, params__yaml=text) / "params.yaml"
    with pytest.raises(SignloomError) as error:
        load_params(file)
    said = str(error.value)
    assert "dataset.importer" in said and "how2sign, " in said and "wlasl" in said and "\n" not in said
    assert section(DatasetParams, importer="my/own.yaml").importer == "my/own.yaml"


def test_a_wrong_key_of_the_tiers_is_refused(root: Path, tmp_path: Path) -> None:
    text = (root / "params.yaml").read_text("utf-8").replace("elan: []", "elan: [{sentence: a, glos: [b]}]")
    file = write(tmp_path, params__yaml=text) / "params.yaml"
    with pytest.raises(
        SignloomError, match=r"params\.yaml:\d+: unknown key dataset\.elan\.glos; did you mean"
    ):
        load_params(file)


def test_a_cut_beyond_the_end_is_rejected_or_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_videos(tmp_path / "videos", "a.mp4", seconds=4)
    rows = ["a.mp4,One.,0,4.05", "a.mp4,One.,3,9.5", "a.mp4,One.,5,6", "a.mp4,One.,7,", "a.mp4,One.,,"]
    rows.append("a.mp4,One.,4,6")
    manifest = build(tmp_path, "video,sentence,start_s,end_s\n" + "\n".join(rows) + "\n")
    assert manifest.clips["clip_id"].tolist() == ["a@0-4.05", "a@3-9.5"]
    detail = "begins after the end of the video: cut {}, video 4.00 s"
    assert values(manifest.rejects, "row", "reason", "detail") == [
        ["4", "past_end", detail.format("5 s to 6 s")],
        ["5", "past_end", detail.format("7 s to the end")],
        ["6", "duplicate", "has the same content and times as a@0-4.05"],
        ["7", "past_end", detail.format("4 s to 6 s")],
    ]
    said = "warning: 1 clip ends after its video; first: clip a@3-9.5: cut 3 s to 9.5 s, video 4.00 s"
    assert said in capsys.readouterr().err.splitlines()


def test_a_cut_is_kept_whose_frames_are_there_although_the_header_says_less(tmp_path: Path) -> None:
    length = length_s(write_varying(tmp_path / "videos/a.mp4"))
    assert length and length < 2
    rows = ["a.mp4,One.,5,5.05", "a.mp4,One.,1.2,4", "a.mp4,One.,1.2,5.02", "a.mp4,One.,5.3,6"]
    manifest = build(tmp_path, "video,sentence,start_s,end_s\n" + "\n".join(rows) + "\n")
    assert manifest.clips["clip_id"].tolist() == ["a@1.2-4", "a@1.2-5.02", "a@5-5.05"]
    assert values(manifest.rejects, "row", "reason") == [["5", "past_end"]]
    assert "video 5.08 s" in manifest.rejects["detail"][0]


CODECS = {
    **dict.fromkeys((".mp4", ".mov", ".mkv", ".m4v", ".ts", ".mts", ".m2ts"), "libx264"),
    **{".avi": "mpeg4", ".3gp": "mpeg4", ".mpg": "mpeg2video", ".mpeg": "mpeg2video", ".wmv": "wmv2"},
    **{".flv": "flv", ".ogv": "libvpx", ".gif": "gif", ".webm": "libvpx-vp9"},
}


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_every_kind_of_video_is_read(tmp_path: Path, suffix: str) -> None:
    codec = CODECS[suffix]
    if codec not in av.codecs_available:
        pytest.skip(f"FFmpeg cannot write {codec} here")
    path = tmp_path / f"a{suffix.upper()}"
    formats = {".mts": "mpegts", ".ogv": "ogg", ".mpeg": "mpeg", ".m4v": "mp4"}
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format=formats.get(suffix)) as container:
        stream = container.add_stream(codec, rate=5)
        stream.width, stream.height = 176, 144
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for _ in range(5):
            picture = rng.integers(0, 255, (144, 176, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert why_unreadable(path) is None
    assert sum(1 for _ in read_frames(path)) == 5
    length = length_s(path)
    assert length is None or length == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("signer", "signer_id"),
        ("Signer_ID", "signer_id"),
        ("sentence-id", "sentence_id"),
        ("start", "start_s"),
        ("glosses", "gloss"),
        ("text_variation", "text_variations"),
    ],
)
def test_a_column_with_nearly_a_known_name_is_not_passed_over(tmp_path: Path, name: str, meant: str) -> None:
    file = write(tmp_path, clips__csv=f"video,sentence,{name}\na.mp4,One.,x\n") / "clips.csv"
    with pytest.raises(
        SignloomError, match=f"column `{name}` is not read; did you mean `{meant}`[?] rename it"
    ):
        load_table("csv", file, tmp_path)


def test_frames_are_not_passed_over_where_seconds_are_read(tmp_path: Path) -> None:
    lines = "video,sentence,start_frame,end_frame\na.mp4,One.,,50\na.mp4,Two.,60,90\n"
    file = write(tmp_path, clips__csv=lines) / "clips.csv"
    with pytest.raises(SignloomError, match="'start_frame' and 'end_frame' are not read"):
        load_table("csv", file, tmp_path)


def test_ids_that_are_names_become_numbers_and_a_slip_among_numbers_does_not(tmp_path: Path) -> None:
    def ids(*cells: str) -> list[str]:
        lines = "".join(f"{n}.mp4,Text {n}.,{cell}\n" for n, cell in enumerate(cells))
        file = write(tmp_path, clips__csv="video,sentence,sentence_id\n" + lines) / "clips.csv"
        return load_table("csv", file, tmp_path)["sentence_id"].tolist()

    named = ids("S1", "S2", "S1", "")
    assert all(number.isdecimal() for number in named)
    assert named[0] == named[2] and len({*named}) == 3
    assert ids("1.0", "2.0", "10", "-1") == ["1", "2", "10", "-1"]
    assert ids("1", "2", "1O") == ["1", "2", "1O"]
    assert ids("NA", "NA") == ids("", ""), "as R writes what is missing"


def test_columns_of_ones_own_are_left_alone(tmp_path: Path) -> None:
    header = "video,sentence,gloss_id,notes,signer,signer_id"
    file = write(tmp_path, clips__csv=f"{header}\na.mp4,One.,7,x,Ann,s1\n") / "clips.csv"
    assert load_table("csv", file, tmp_path)["signer_id"].tolist() == ["s1"]


@pytest.mark.parametrize(("flag", "said"), [(1, "encrypted"), (32, "patched")])
def test_a_workbook_packed_in_an_unknown_way_is_one_line(tmp_path: Path, flag: int, said: str) -> None:
    table = tmp_path / "t.xlsx"
    pd.DataFrame({"video": ["a.mp4"], "sentence": ["One."]}).to_excel(table, index=False)
    content = bytearray(table.read_bytes())
    # the flags of every entry, in the directory at the end and before the entry itself
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = content.find(mark)
        while start >= 0:
            content[start + place] |= flag
            start = content.find(mark, start + 4)
    table.write_bytes(content)
    with pytest.raises(SignloomError, match=rf"t\.xlsx: not a readable workbook: .*{said}"):
        load_table("csv", table, tmp_path)
