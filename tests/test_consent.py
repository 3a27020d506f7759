"""What signers allow: words of a table, clips that take no part, and clips whose use is limited."""

from __future__ import annotations

import base64
import re
from datetime import date, timedelta
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from report_inputs import build as build_page

from signloom.dataset.consent import allows, count_uses, has_ended, read_consent, read_until
from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import load_table
from signloom.dataset.sources import read_sources
from signloom.errors import SignloomError
from signloom.evaluation.datasets import in_gallery
from signloom.export.descriptions import write_card
from tests.manifests import build, dataset_of
from tests.videos import write_video

ALL = "train pictures features models"


@pytest.mark.parametrize("importer", ["processed", "signtalk_sampled", "asl_citizen", "fairseq"])
def test_tables_of_every_form_say_what_signers_allow(tmp_path: Path, importer: str) -> None:
    heads = {
        "processed": ("feature_path,sentence_id,sentence", "{}.npy,1,one"),
        "signtalk_sampled": ("video_file,sentence_id,sentence,category", "{}.mp4,1,one,x"),
        "asl_citizen": ("Participant ID,Video file,Gloss,ASL-LEX Code", "P1,{}.mp4,APPLE,x"),
        "fairseq": ("id\tsigns_file\tsigns_offset\tsigns_length\ttranslation", "{0}\t{0}.npy\t0\t40\tOne."),
    }
    head, line = heads[importer]
    mark = "\t" if importer == "fairseq" else ","
    rows = [mark.join([head, "consent", "until"])]
    for name, consent, until in (("a", "", ""), ("b", "none", "2020-01-01"), ("c", "train", "")):
        rows.append(mark.join([line.format(name), consent, until]))
    table = tmp_path / ("train.tsv" if importer == "fairseq" else "list.csv")
    table.write_text("\n".join(rows) + "\n")
    found = load_table(importer, table, tmp_path, frame_rate=25.0)
    assert found["consent"].tolist() == ["none", "none", "train"]
    assert found["until"].tolist() == ["", "2020-01-01", ""]


def test_the_day_of_a_workbook_cell_is_a_day() -> None:
    assert read_until("2031-12-31 00:00:00") == date(2031, 12, 31)
    assert has_ended("2020-01-01 00:00:00", date(2026, 1, 1))
    with pytest.raises(ValueError, match="expected the last day"):
        read_until("2031-12-31 08:00:00")


@pytest.mark.parametrize(
    ("cell", "uses"),
    [
        ("", ""),
        ("  ", ""),
        ("all", ALL),
        ("none", "none"),
        ("None", "none"),
        ("train", "train"),
        ("models, Train;features", "train features models"),
        ("train train", "train"),
    ],
)
def test_the_words_of_a_consent_come_in_one_form(cell: str, uses: str) -> None:
    assert read_consent(cell) == uses
    assert read_consent(uses) == uses


@pytest.mark.parametrize("cell", ["pictuers", "yes", "-"])
def test_a_word_that_names_no_use_is_never_guessed(cell: str) -> None:
    with pytest.raises(ValueError, match="expected train, pictures, features, models, or all, or none"):
        read_consent(cell)


@pytest.mark.parametrize(
    ("cell", "word"), [("all train", "all"), ("train, none", "none"), ("all none", "all"), ("all yes", "all")]
)
def test_a_word_that_stands_for_all_uses_or_none_stands_alone(cell: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"'{cell}': {word} stands beside other words; write it alone"):
        read_consent(cell)


def test_only_what_is_stated_holds_anything_back() -> None:
    assert allows("", "train") and allows("train", "train") and allows(ALL, "models")
    assert not allows("none", "train") and not allows("train", "pictures")


def test_a_consent_holds_on_its_last_day_and_not_after_it() -> None:
    last = date(2030, 2, 28)
    assert read_until(" 2030-02-28 ") == last and read_until("") is None
    assert not has_ended("2030-02-28", last) and has_ended("2030-02-28", last + timedelta(1))
    assert not has_ended("", last)
    with pytest.raises(ValueError, match=r"until '30\.2\.2030'"):
        read_until("30.2.2030")


def test_clips_without_consent_to_training_take_no_part_and_say_so(tmp_path: Path) -> None:
    for number in range(6):
        write_video(tmp_path / f"videos/{number}.mp4", seed=number)
    table = """video,sentence,consent,until
0.mp4,One.,all,2999-12-31
1.mp4,One.,"train, features",
2.mp4,One.,pictures,
3.mp4,One.,,
4.mp4,One.,trian,
5.mp4,One.,all,soon
"""
    manifest = build(tmp_path, table)
    assert manifest.clips[["clip_id", "consent", "until"]].to_numpy().tolist() == [
        ["0", ALL, "2999-12-31"],
        ["1", "train features", ""],
    ]
    rejects = manifest.rejects.set_index("row")
    assert rejects["reason"].to_dict() == {4: "no_consent", 5: "no_consent", 6: "bad_row", 7: "bad_row"}
    assert "'none'" in rejects["detail"][5] and "'trian'" in rejects["detail"][6]
    assert "until 'soon'" in rejects["detail"][7]


def test_a_table_that_says_nothing_of_consent_holds_nothing_back(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/a.mp4")
    manifest = build(tmp_path, "video,sentence\na.mp4,One.\n")
    assert manifest.clips[["consent", "until"]].to_numpy().tolist() == [["", ""]]
    assert count_uses(manifest.clips["consent"]) == {}


def test_a_form_can_name_the_column_of_consent(tmp_path: Path) -> None:
    form = tmp_path / "form.yaml"
    form.write_text("columns: {video: file, sentence: text, consent: uses, until: last}\n")
    (tmp_path / "t.csv").write_text("file,text,uses,last\na.mp4,One.,train,2031-01-31\nb.mp4,Two.,,\n")
    rows = load_table(str(form), tmp_path / "t.csv", tmp_path)
    assert rows[["consent", "until"]].to_numpy().tolist() == [["train", "2031-01-31"], ["none", ""]]


def test_a_build_stops_at_a_consent_that_has_ended_and_says_what_to_do(tmp_path: Path) -> None:
    write_video(tmp_path / "videos/a.mp4")
    yesterday = date.today() - timedelta(1)
    (tmp_path / "t.csv").write_text(f"video,sentence,until\na.mp4,One.,\na.mp4,Two.,{yesterday}\n")
    dataset = dataset_of(tmp_path / "t.csv", tmp_path / "videos")
    with pytest.raises(SignloomError, match=rf"1 of 2 clips has ended; first: row 3, until {yesterday}; run"):
        read_sources(dataset, HashCache(tmp_path / "hashes.json"))
    (tmp_path / "t.csv").write_text(f"video,sentence,until\na.mp4,One.,{date.today() + timedelta(1)}\n")
    assert len(read_sources(dataset, HashCache(tmp_path / "hashes.json"))) == 1


def test_a_picture_that_may_not_be_published_is_a_drawing_on_grey(tmp_path: Path) -> None:
    consents = {"clip00": "train", "clip01": "train pictures", "clip02": ""}
    page = build_page(tmp_path / "build", pictures=True, consents=consents)
    tiles = re.findall(
        r'base64,([^"]*)" width="60" height="40" alt="([^"]*)">\s*<p><strong><bdi>(.*?)</bdi>', page
    )
    shown = {clip: (code, alt) for code, alt, clip in tiles if clip in consents}
    assert shown.keys() >= {"clip00", "clip01"}
    for clip, (code, alt) in shown.items():
        image = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)
        withheld = clip == "clip00"
        assert abs(int(image[1, 1, 0]) - (60 if withheld else 40 * 3)) < 6
        assert len(np.unique(image)) > 1  # the landmarks are drawn
        assert alt.endswith("publishing it was not allowed.") == withheld


def test_a_clip_whose_features_may_not_be_shared_is_no_answer() -> None:
    table = pd.DataFrame(
        [
            ("train", 1, ""),
            ("train", 1, "train models"),
            ("train", 2, ALL),
            ("test", 1, ""),
            ("train", -1, ""),
        ],
        columns=["split", "sentence_id", "consent"],
    )
    assert in_gallery(table).tolist() == [True, False, True, False, False]
    assert in_gallery(table.drop(columns="consent")).tolist() == [True, True, True, False, False]


def test_consents_are_counted_and_the_model_card_shows_them() -> None:
    counts = count_uses(["train", ALL, "", "train features"])
    assert counts == {"train": 3, "pictures": 1, "features": 2, "models": 1, "not_stated": 1}
    about = {"files": {}, "metrics": {}, "hashes": {}, "git_commit": "c", "licences": {}}
    features = {"all": {"kept": 4, "clips": 5}}
    more = {"networks": [], "sentences": 1, "unit": "sign", "demo": False}
    card = write_card(about, {"features": {"all": features["all"] | {"consent": counts}}}, **more)
    assert "| share models | 1 |" in card and "| not stated | 1 |" in card
    assert "Consent" not in write_card(about, {"features": features}, **more)
