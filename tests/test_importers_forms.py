"""The forms that come with Signloom: tables of public corpora read by a mapping alone."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from form_stages import read_corpus
from openpyxl import load_workbook

from engines.import_closure import code_of
from signloom.dataset.forms.mapping import read_form, shipped
from signloom.dataset.forms.texts import sentence_number
from signloom.dataset.importers import IMPORTERS, annotation_files, annotation_sources, load_table
from signloom.errors import SignloomError
from signloom.params import dataset as names
from tests.form_files import how2sign, values, write, write_videos
from tests.manifests import dataset_of, manifest_of
from tests.videos import write_frames


def test_how2sign_is_cut_by_seconds_and_a_quote_is_a_letter(tmp_path: Path) -> None:
    videos = write_videos(
        tmp_path / "v", *(f"{name}-1-rgb_front.mp4" for name in ("-aB1", "cC2", "dD3")), seconds=21
    )
    read = read_corpus(tmp_path, "how2sign", how2sign(tmp_path / "t"), videos)
    assert values(read.clips, "clip_id", "sentence") == [
        ["-aB1-1-rgb_front@0.26-6.79", "Hi!"],
        ["-aB1-1-rgb_front@7.27-20.3", 'Turn it "left, now.'],
        ["cC2-1-rgb_front@0-1.5", "Hi!"],
        ["dD3-1-rgb_front@0-1.5", "Hi!"],
    ]
    assert list(read.splits.values()) == ["train", "train", "val", "test"]
    # the same sentence has the same number, whoever signs it
    assert read.clips["sentence_id"].nunique() == 2
    assert read.rejects.empty


def test_how2sign_clips_are_whole_videos_called_by_their_sentence(tmp_path: Path) -> None:
    clips = ("-aB1_0", "-aB1_2", "cC2_1", "dD3_1")
    videos = write_videos(tmp_path / "v", *(f"{name}-1-rgb_front.mp4" for name in clips))
    read = read_corpus(tmp_path, "how2sign_clips", how2sign(tmp_path / "t"), videos)
    assert read.clips["clip_id"].tolist() == [f"{name}-1-rgb_front" for name in clips]


def test_csl_daily_joins_the_splits_and_writes_chinese_without_spaces(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t",
        video_map__txt="index|name|length|gloss|char|word|postag\n"
        "0|S000001_P0000_T00|52|你们 好|你 们 好 ！|你们 好 ！|PN VA PU\n"
        "1|S000002_P0004_T00|66|今天 冷|今 天 冷 。|今天 冷 。|NT VA PU\n"
        '2|S000007_P0003_T00|66|今天 "冷|今 天 "冷 。|今天 冷 。|NT VA PU\n',
        split_1__txt="name|split\nS000001_P0000_T00|dev\nS000002_P0004_T00|test\n",
    )
    for number, name in enumerate(["S000001_P0000_T00", "S000002_P0004_T00"]):
        write_frames(tmp_path / "v" / name, seed=number)
    write_videos(tmp_path / "v", "S000007_P0003_T00.mp4")
    read = read_corpus(tmp_path, "csl_daily", table, tmp_path / "v")
    assert values(read.clips, "clip_id", "sentence", "gloss", "signer_id") == [
        ["S000001_P0000_T00", "你们好！", "你们 好", "P0000"],
        ["S000002_P0004_T00", "今天冷。", "今天 冷", "P0004"],
        ["S000007_P0003_T00", '今天"冷。', '今天 "冷', "P0003"],
    ]
    # a name without a split is trained on
    assert list(read.splits.values()) == ["val", "test", "train"]


def test_a_clip_with_two_splits_is_named(tmp_path: Path) -> None:
    head = "index|name|length|gloss|char|word|postag\n"
    splits = "name|split\nS1_P0_T00|train\nS1_P0_T00|train\nS1_P0_T00|test\n"
    table = write(tmp_path, video_map__txt=f"{head}0|S1_P0_T00|52|a|b|c|d\n", split_1__txt=splits)
    said = r"split_1\.txt: line 4: name 'S1_P0_T00' has other values in a line above; keep one$"
    with pytest.raises(SignloomError, match=said):
        load_table("csl_daily", table, tmp_path)


def test_asl_citizen_keeps_a_quoted_comma_in_one_gloss(tmp_path: Path) -> None:
    head = "Participant ID,Video file,Gloss,ASL-LEX Code\n"
    table = write(
        tmp_path / "t",
        train__csv=head + 'P52,158-APPLE.mp4,APPLE,C_03_054\nP1,883-BARK.mp4,"BARK, TREE",A_02_003\n',
        val__csv=head + "P7,9-APPLE.mp4,APPLE,C_03_054\n",
        test__csv=head + "P9,10-APPLE.mp4,APPLE,C_03_054\n",
    )
    videos = write_videos(tmp_path / "v", "158-APPLE.mp4", "883-BARK.mp4", "9-APPLE.mp4", "10-APPLE.mp4")
    read = read_corpus(tmp_path, "asl_citizen", table, videos)
    bark = read.clips.set_index("clip_id").loc["883-BARK"]
    assert bark[["gloss", "sentence", "signer_id", "split"]].tolist() == [
        *("BARK,_TREE", "BARK, TREE", "P1", "train"),
    ]
    assert read.splits == {
        "10-APPLE": "test",
        "158-APPLE": "train",
        "883-BARK": "train",
        "9-APPLE": "val",
    }


def test_autsl_has_no_header_a_table_of_classes_and_signers_in_its_names(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t",
        train_labels__csv="signer0_sample1,41\r\nsigner34_sample1,133\r\n",
        validation_labels__csv="signer1_sample1,41\r\n",
        test_labels__csv="signer6_sample1,133\r\n",
        SignList_ClassId_TR_EN__csv="\ufeffClassId,TR,EN\r\n41,abla,sister\r\n133,kap\u0131 a\u00e7,open\r\n",
    )
    videos = write_videos(
        *(tmp_path / "v", "signer0_sample1_color.mp4", "signer34_sample1_color.mp4"),
        *("val/signer1_sample1_color.mp4", "test/signer6_sample1_color.mp4"),
    )
    read = read_corpus(tmp_path, "autsl", table, videos)
    assert values(read.clips, "clip_id", "gloss", "sentence", "signer_id") == [
        ["signer0_sample1_color", "abla", "abla", "signer0"],
        ["signer34_sample1_color", "kapı_aç", "kapı aç", "signer34"],
        ["test/signer6_sample1_color", "kapı_aç", "kapı aç", "signer6"],
        ["val/signer1_sample1_color", "abla", "abla", "signer1"],
    ]
    assert list(read.splits.values()) == ["train", "train", "test", "val"]


def test_a_class_that_the_joined_table_lacks_is_named_with_its_line(tmp_path: Path) -> None:
    table = write(
        tmp_path,
        train_labels__csv="signer0_sample1,41\nsigner0_sample2,7\n",
        validation_labels__csv="signer1_sample1,41\n",
        test_labels__csv="signer6_sample1,41\n",
        SignList_ClassId_TR_EN__csv="ClassId,TR,EN\n41,abla,sister\n",
    )
    with pytest.raises(SignloomError, match=r"train_labels\.csv: line 2: class '7' has no entry in SignList"):
        load_table("autsl", table, tmp_path)


@pytest.mark.parametrize(
    ("importer", "files"),
    [
        ("gsl", ["gsl_split_SI_train__csv", "gsl_split_SI_dev__csv", "gsl_split_SI_test__csv"]),
        ("gsl_isolated", ["train_greek_iso__csv", "dev_greek_iso__csv", "test_greek_iso__csv"]),
    ],
)
def test_gsl_reads_folders_of_frames_and_keeps_numbers_of_glosses(
    tmp_path: Path, importer: str, files: list[str]
) -> None:
    folders = [f"police1/police1_signer{n}_rep3_sentences/sentences000{n}" for n in range(3)]
    lines = [f"{folder}|ΓΕΙΑ{' ΕΓΩ(1)' if importer == 'gsl' else '(1)'}\n" for folder in folders]
    table = write(tmp_path / "t", **dict(zip(files, lines, strict=True)))
    for number, folder in enumerate(folders):
        write_frames(tmp_path / "v" / folder, seed=number)
    read = read_corpus(tmp_path, importer, table, tmp_path / "v")
    assert read.clips["gloss"].unique().tolist() == ["ΓΕΙΑ ΕΓΩ(1)" if importer == "gsl" else "ΓΕΙΑ(1)"]
    assert read.clips["signer_id"].tolist() == ["signer0", "signer1", "signer2"]
    assert list(read.splits.values()) == ["train", "val", "test"]


def test_include_takes_the_number_off_a_word(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t",
        include__csv="Category,Word,Video,FilePath\n"
        "Adjectives,1. loud,MVI_1.MOV,Adjectives/1. loud/MVI_1.MOV\n"
        "Days,67. Good Morning,MVI_2.MOV,Days/67. Good Morning/MVI_2.MOV\n"
        "Days,today,MVI_3.MOV,Days/today/MVI_3.MOV\n",
    )
    paths = ("Adjectives/1. loud/MVI_1.MOV", "Days/67. Good Morning/MVI_2.MOV", "Days/today/MVI_3.MOV")
    videos = write_videos(tmp_path / "v", *paths)
    read = read_corpus(tmp_path, "include", table / "include.csv", videos, mode="clip")
    assert values(read.clips, "clip_id", "sentence", "gloss", "category") == [
        ["Adjectives/1. loud/MVI_1", "loud", "loud", "Adjectives"],
        ["Days/67. Good Morning/MVI_2", "Good Morning", "Good_Morning", "Days"],
        ["Days/today/MVI_3", "today", "today", "Days"],
    ]


def test_phoenix_si5_reads_its_own_files_and_the_folder_before_the_star(tmp_path: Path) -> None:
    head = "id|folder|signer|annotation\n"
    table = write(
        tmp_path / "t",
        train__SI5__corpus__csv=head + "a-1|a-1/1/*.png|Signer01|ICH __ON__ KÄLTE\n",
        dev__SI5__corpus__csv=head + 'b-1|b-1/1/*.png|Signer05|REGEN "SUED"\n',
        test__SI5__corpus__csv=head + "c-1|c-1/1/*.png|Signer05|REGEN\n",
    )
    for number, name in enumerate(["train/a-1/1", "dev/b-1/1", "test/c-1/1"]):
        write_frames(tmp_path / "v" / name, seed=number)
    read = read_corpus(tmp_path, "phoenix2014_si5", table, tmp_path / "v")
    assert values(read.clips, "clip_id", "gloss", "signer_id") == [
        ["dev/b-1/1", 'REGEN "SUED"', "Signer05"],
        ["test/c-1/1", "REGEN", "Signer05"],
        ["train/a-1/1", "ICH __ON__ KÄLTE", "Signer01"],
    ]
    assert list(read.splits.values()) == ["val", "test", "train"]


def test_phoenix2014t_is_read_as_one_video_a_clip(tmp_path: Path) -> None:
    head = "name|video|start|end|speaker|orth|translation\n"
    table = write(
        tmp_path / "t",
        **{
            f"PHOENIX-2014-T__{split}__corpus__csv": head
            + f'{split}-1|{split}-1/1/*.png|-1|-1|Signer08|WIND STARK|und nun "das wetter .\n'
            for split in ("train", "dev", "test")
        },
    )
    videos = write_videos(tmp_path / "v", "train/train-1.mp4", "dev-1.mp4", "test-1.mp4")
    read = read_corpus(tmp_path, "phoenix2014t_videos", table, videos)
    assert read.splits == {"dev-1": "val", "test-1": "test", "train/train-1": "train"}
    assert set(read.clips["sentence"]) == {'und nun "das wetter .'}
    assert set(read.clips["gloss"]) == {"WIND STARK"}


def test_multimodalhugs_zero_zero_is_the_whole_file_and_times_are_milliseconds(tmp_path: Path) -> None:
    head = "signal\tsignal_start\tsignal_end\tencoder_prompt\tdecoder_prompt\toutput\n"
    row = "v/{}.mp4\t{}\t{}\t__dgs__\t__de__\tes regnet\n"
    table = write(
        tmp_path / "t",
        train__tsv=head + row.format("a", 0, 0) + row.format("b", 500, 1500) + row.format("b", 1500, 0),
        val__tsv=head + row.format("c", "", ""),
        test__tsv=head + row.format("d", "0.0", "0.0"),
    )
    write_videos(tmp_path / "v", "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    read = read_corpus(tmp_path, "multimodalhugs", table, tmp_path)
    assert read.splits == {
        "v/a": "train",
        "v/b@0.5-1.5": "train",
        "v/b@1.5-": "train",
        "v/c": "val",
        "v/d": "test",
    }


def test_a_file_of_another_name_is_read_alone_and_has_no_split(tmp_path: Path) -> None:
    head = "signal\tsignal_start\tsignal_end\tencoder_prompt\tdecoder_prompt\toutput\n"
    table = write(tmp_path, metadata__tsv=head + "a.mp4\t0\t0\t\t\tes regnet\n") / "metadata.tsv"
    assert annotation_files("multimodalhugs", table) == [table]
    assert values(load_table("multimodalhugs", table, tmp_path), "video", "split") == [["a.mp4", ""]]


def test_a_place_by_split_is_passed_over_in_a_table_without_splits(tmp_path: Path) -> None:
    head = "name|video|start|end|speaker|orth|translation\n"
    lines = "a|x|-1|-1|S|WIND|wind\n|x|-1|-1|S|WIND|wind\n"
    table = write(tmp_path / "t", some__csv=head + lines) / "some.csv"
    rows = load_table("phoenix2014t_videos", table, write_videos(tmp_path / "v", "a.mp4"))
    assert values(rows, "row", "video", "split") == [["2", "a.mp4", ""], ["3", "", ""]]


def test_letters_are_found_however_the_disk_and_the_table_compose_them(tmp_path: Path) -> None:
    composed, parted = "gr\u00fc\u00dfe/caf\u00e9.mp4", "gru\u0308\u00dfe2/cafe\u0301.mp4"
    assert unicodedata.is_normalized("NFC", composed) and not unicodedata.is_normalized("NFC", parted)
    videos = write_videos(tmp_path / "v", composed, parted)
    lines = [unicodedata.normalize("NFD", composed), unicodedata.normalize("NFC", parted), "\u00e9.mp4"]
    table = write(tmp_path / "t", clips__csv="video,sentence\n" + "".join(f"{v},One.\n" for v in lines))
    read = read_corpus(tmp_path, "csv", table / "clips.csv", videos, mode="clip")
    assert [Path(path).relative_to(videos).as_posix() for path in read.clips["video_path"]] == [
        parted,
        composed,
    ]
    assert read.rejects["reason"].tolist() == ["missing"]


def test_a_table_of_rows_is_found_however_its_name_is_composed(tmp_path: Path) -> None:
    write(tmp_path / "v", **{unicodedata.normalize("NFD", "h\u00e4nde__csv"): "video,frame,x\nA,0,1\n"})
    table = write(tmp_path / "t", clips__csv="video,gloss\nh\u00e4nde.csv#A,X\nh\u00e4nde.csv#B,X\n")
    dataset = dataset_of(table / "clips.csv", tmp_path / "v", features=True)
    manifest = manifest_of(dataset, tmp_path / "h.json", 1)
    assert values(manifest.clips, "clip_id") == [[unicodedata.normalize("NFD", "h\u00e4nde/A")]]
    assert manifest.rejects["detail"].str.contains("no row has 'B'").tolist() == [True]


OWN = """\
files: {{}}
separator: ";"
columns:
  video: "{{Ordner}}/{{Datei}}"
  sentence: Satz
  sentence_id: Nr
  start: von
  end: bis
times: {times}
"""


@pytest.mark.parametrize(
    ("times", "start", "end", "expected"),
    [
        ("{unit: s}", "0.5", "1.5", ["0.5", "1.5"]),
        ("{unit: ms}", "500", "1500", ["0.5", "1.5"]),
        ("{unit: frames, fps: 25, first: 1}", "1", "25", ["0", "1"]),
        ("{unit: frames, fps: 25, first: 1, to_end: '-1'}", "26", "-1", ["1", ""]),
        ("{unit: frames, fps: 25, first: 1, to_end: -1}", "1", "-1", ["", ""]),
        ("{unit: frames, fps: Rate}", "10", "19", ["1", "2"]),
        ("{unit: frames, fps: Satz}", "10", "", ["10 frames", ""]),
        ("{unit: clock}", "00:01:02.500", "01:00:00,25", ["62.5", "3600.25"]),
        ("{unit: clock}", "01:02", "1:02.5", ["62", "62.5"]),
        ("{unit: ms}", "soon", "", ["soon", ""]),
        ("{unit: ms}", "0", "1_500", ["0", "1_500"]),
    ],
)
def test_times_of_an_own_form_become_seconds(
    tmp_path: Path, times: str, start: str, end: str, expected: list[str]
) -> None:
    form = write(tmp_path, own__yaml=OWN.format(times=times)) / "own.yaml"
    row = f"a;b.mp4;Guten Tag.;S-1;{start};{end};10\n"
    table = write(tmp_path, t__csv="Ordner;Datei;Satz;Nr;von;bis;Rate\n" + row) / "t.csv"
    rows = load_table(str(form), table, tmp_path)
    assert values(rows, "video", "start_s", "end_s") == [["a/b.mp4", *expected]]


def test_a_form_of_your_own_reaches_the_splits(tmp_path: Path) -> None:
    form = write(tmp_path, own__yaml=OWN.format(times="{unit: ms}")) / "own.yaml"
    videos = write_videos(tmp_path / "v", "a/1.mp4", "a/2.mp4", seconds=4)
    rows = "a;1.mp4;Guten Tag.;S-1;0;1500\na;1.mp4;Es regnet.;S-2;1500;4000\na;2.mp4;Guten Tag.;S-1;;\n"
    table = write(tmp_path, t__csv="Ordner;Datei;Satz;Nr;von;bis\n" + rows) / "t.csv"
    read = read_corpus(tmp_path, str(form), table, videos, mode="clip")
    assert list(read.splits) == ["a/1@0-1.5", "a/1@1.5-4", "a/2"]
    assert read.clips["sentence"].tolist() == ["Guten Tag.", "Es regnet.", "Guten Tag."]


def test_text_ids_become_stable_numbers_and_whole_numbers_stay(tmp_path: Path) -> None:
    form = str(write(tmp_path, own__yaml=OWN.format(times="{}")) / "own.yaml")
    head = "Ordner;Datei;Satz;Nr;von;bis\n"
    text = write(tmp_path, a__csv=head + "a;1.mp4;Ja.;007;;\na;2.mp4;Nein.;8;;\n") / "a.csv"
    assert load_table(form, text, tmp_path)["sentence_id"].tolist() == [
        *(str(sentence_number("007")), str(sentence_number("8"))),
    ]
    large = write(tmp_path, c__csv=head + "a;1.mp4;Ja.;20200313001;;\n") / "c.csv"
    assert load_table(form, large, tmp_path)["sentence_id"].tolist() == [str(sentence_number("20200313001"))]
    whole = write(tmp_path, b__csv=head + "a;1.mp4;Ja.;7;;\na;2.mp4;Ja.;;;\na;3.mp4;;;;\n") / "b.csv"
    assert load_table(form, whole, tmp_path)["sentence_id"].tolist() == ["7", "7", "-1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: {video: a, sentense: b}", r"own\.yaml: columns\.sentense: Input should be"),
        ("columns: {video: a}", r"own\.yaml: columns: .*`sentence` or `gloss`"),
        ("colums: {video: a, gloss: b}\ncolumns: {video: a, gloss: b}", r"own\.yaml: colums: Extra inputs"),
        ("columns: {video: a, gloss: b}\ntimes: {unit: frames}", r"own\.yaml: times: .*needs fps"),
        (
            "columns: {video: a, gloss: {column: b, take: '(x'}}",
            r"columns\.gloss\.take: .*regular expression",
        ),
        ("columns: {video: a, gloss: {column: b, take: 'x'}}", r"columns\.gloss\.take: .*\(\?P<value>"),
        ("columns: [", r"own\.yaml: not valid YAML"),
        ("- a", r"own\.yaml: the form: Input should be"),
    ],
)
def test_a_wrong_form_is_named_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    form = write(tmp_path, own__yaml=text, t__csv="a,b\nx.mp4,A\n")
    with pytest.raises(SignloomError, match=message) as error:
        load_table(str(form / "own.yaml"), tmp_path / "t.csv", tmp_path)
    assert "\n" not in str(error.value)


def test_a_value_without_the_shape_of_its_pattern_is_named_with_its_line(tmp_path: Path) -> None:
    form = "columns: {video: a, gloss: {column: b, take: '^(?P<value>[A-Z]+)$'}}"
    write(tmp_path, own__yaml=form, t__csv="a,b\nx.mp4,A\ny.mp4,b\n")
    with pytest.raises(SignloomError, match=r"t\.csv: line 3: 'b' does not match"):
        load_table(str(tmp_path / "own.yaml"), tmp_path / "t.csv", tmp_path)


def test_an_own_form_reads_a_workbook(tmp_path: Path) -> None:
    form = write(tmp_path, own__yaml="columns: {video: Datei, gloss: Wort}") / "own.yaml"
    sheet = pd.DataFrame({"Datei": ["a.mp4"], "Wort": ["HAUS"]})
    sheet.to_excel(tmp_path / "t.xlsx", index=False)
    rows = load_table(str(form), tmp_path / "t.xlsx", tmp_path)
    assert values(rows, "row", "video", "gloss") == [["2", "a.mp4", "HAUS"]]


def test_the_engines_watch_an_own_form_and_folders_of_annotations(root: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "t", a__eaf="", own__yaml="columns: {video: a, gloss: b}", t__csv="a,b\n")
    assert annotation_sources("elan", table) == [table]
    episodes = write(table, subset2episode__json="{}") / "subset2episode.json"
    assert annotation_sources("bobsl", table) == annotation_sources("bobsl", episodes) == [table]
    own = str(table / "own.yaml")
    assert annotation_sources(own, table / "t.csv") == [table / "t.csv", table / "own.yaml"]
    assert {"signloom/dataset/forms/autsl.yaml"} < set(code_of("sources", root))
    assert "signloom/dataset/forms/autsl.yaml" not in code_of("landmarks", root)


def test_the_parameter_knows_every_importer_and_form() -> None:
    assert set(names.IMPORTERS) == set(IMPORTERS)
    assert set(names.FORMS) == set(shipped())
    assert all(read_form(file).columns for file in shipped().values())


def test_a_separator_that_does_not_fit_the_header_is_named_with_the_key(tmp_path: Path) -> None:
    form = "header: [video, sentence]\ncolumns: {video: video, sentence: sentence}\n"
    lines = "a.mp4\tYes, no, maybe\nb.mp4\tNo\n"
    own = write(tmp_path, own__yaml=form, t__txt=lines) / "own.yaml"
    with pytest.raises(SignloomError) as error:
        load_table(str(own), tmp_path / "t.txt", tmp_path)
    assert "t.txt: line 1 has 3 fields separated by ',', and `header` of the form names 2; if" in str(
        error.value
    )
    own.write_text(form + 'separator: "\\t"\n')
    rows = load_table(str(own), tmp_path / "t.txt", tmp_path)
    assert rows["sentence"].tolist() == ["Yes, no, maybe", "No"]


def test_every_row_of_a_merged_cell_has_its_value(tmp_path: Path) -> None:
    sheet = pd.DataFrame({"video": ["a.mp4", "b.mp4", "c.mp4"], "sentence": ["One.", "", "Two."]})
    sheet.to_excel(tmp_path / "t.xlsx", index=False)
    book = load_workbook(tmp_path / "t.xlsx")
    book.active.merge_cells("B2:B3")
    book.save(tmp_path / "t.xlsx")
    rows = load_table("csv", tmp_path / "t.xlsx", tmp_path)
    assert rows["sentence"].tolist() == ["One.", "One.", "Two."]
