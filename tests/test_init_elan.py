"""`signloom init` and ELAN files: which tiers it takes, and what it says about the others."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from signloom.inference.annotations import Annotation, write_tiers
from tests.form_files import sentences_eaf, write, write_videos

Said = Callable[..., tuple[int, str, str]]
SENTENCES = [f"the house number {n} is old" for n in range(10)]


def preset(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(Path(f"config/presets/{name}.yaml").read_text("utf-8")))


def test_elan_tiers_are_chosen_by_known_names(new_project: Path, said: Said) -> None:
    tiers = {"English translation": SENTENCES, "main gloss": ["HOUSE"] * 10, "comment": ["x" * 99] * 10}
    sentences_eaf(new_project / "data/talks/a.eaf", tiers)
    write_videos(new_project / "data/talks", "a.mp4", seconds=3)
    code, out, _ = said("init", "data/talks")
    assert code == 0
    assert preset("talks")["dataset"]["elan"] == [
        {"sentence": "English translation", "gloss": ["main gloss"]}
    ]
    assert "tiers     sentences English translation; glosses main gloss" in out
    assert "comment" in out


def test_long_comments_in_more_files_do_not_stand_above_known_tiers(new_project: Path, said: Said) -> None:
    more = {"comment": ["looks at the camera, " * 9] * 10, "hand": ["A"] * 10}
    sentences_eaf(new_project / "data/talks/a.eaf", {"English translation": SENTENCES, **more})
    sentences_eaf(new_project / "data/talks/b.eaf", more)
    write_videos(new_project / "data/talks", "a.mp4", "b.mp4", seconds=3)
    assert said("init", "data/talks")[0] == 0
    assert preset("talks")["dataset"]["elan"] == [{"sentence": "English translation"}]


def test_elan_tiers_without_known_names_are_chosen_by_their_text(new_project: Path, said: Said) -> None:
    sentences_eaf(new_project / "data/talks/a.eaf", {"hand": ["A"] * 10, "Satz": SENTENCES})
    write_videos(new_project / "data/talks", "a.mp4", seconds=3)
    assert said("init", "data/talks", "--preset", "first")[0] == 0
    given = preset("first")
    assert given["dataset"]["elan"] == [{"sentence": "Satz"}]
    assert given["splits"] == {"mode": "sentence"}
    assert given["pipeline"] == {"families": ["sign2text"]}


def test_tiers_that_are_called_glosses_are_taken_with_the_sentences(new_project: Path, said: Said) -> None:
    glosses = {
        name: ["POINT-TO-HOUSE-OVER-THERE"] * 10 for name in ("Gloss_RH_A", "Gloss_LH_A", "Gloss_RH_B")
    }
    remarks = {"Gloss_comments_A": ["both hands?"] * 10, "Notes_A": ["looks at the camera, " * 9] * 10}
    sentences_eaf(new_project / "data/talks/a.eaf", {**glosses, "Translation_A": SENTENCES, **remarks})
    write_videos(new_project / "data/talks", "a.mp4", seconds=3)
    assert said("init", "data/talks")[0] == 0
    given = preset("talks")
    assert given["dataset"]["elan"] == [{"sentence": "Translation_A", "gloss": ["Gloss_RH_A", "Gloss_LH_A"]}]
    assert "pipeline" not in given  # both families


@pytest.mark.parametrize(
    ("gloss", "remarks"),
    [
        ("Glosa_DH S1", "Comentarios"),
        ("Glose MD", "Commentaires"),
        ("GlossL S1", "Kommentarer S1"),
        ("Глоссы", "notes"),
    ],
)
def test_tiers_are_called_glosses_and_comments_in_other_languages_too(
    new_project: Path, said: Said, gloss: str, remarks: str
) -> None:
    tiers = {gloss: ["POINT-TO-HOUSE-OVER-THERE"] * 10, "Översättning S1": SENTENCES}
    tiers[remarks] = ["looks at the camera, " * 9] * 10
    sentences_eaf(new_project / "data/talks/a.eaf", tiers)
    write_videos(new_project / "data/talks", "a.mp4", seconds=3)
    assert said("init", "data/talks")[0] == 0
    assert preset("talks")["dataset"]["elan"] == [{"sentence": "Översättning S1", "gloss": [gloss]}]


def test_sentences_in_chinese_are_not_too_short_beside_glosses_in_latin(
    new_project: Path, said: Said
) -> None:
    tiers = {"gloss": ["POINT-TO-HOUSE-OVER-THERE"] * 10, "翻译": [f"第{n}号房子旧了" for n in range(10)]}
    sentences_eaf(new_project / "data/talks/a.eaf", tiers)
    write_videos(new_project / "data/talks", "a.mp4", seconds=3)
    assert said("init", "data/talks")[0] == 0
    assert preset("talks")["dataset"]["elan"] == [{"sentence": "翻译", "gloss": ["gloss"]}]


def test_both_people_of_an_elan_file_are_taken_with_their_cameras(new_project: Path, said: Said) -> None:
    tiers = {f"Deutsche_Übersetzung_{person}": SENTENCES for person in "AB"}
    glosses = {f"Lexem_Gebärde_{hand}_A": ["HAUS"] * 10 for hand in "rl"}
    sentences_eaf(new_project / "data/dgs/eaf/12.eaf", tiers | glosses)
    write_videos(new_project / "data/dgs/v", "12_1a1.mp4", "12_1b1.mp4", seconds=3)
    code, out, _ = said("init", "data/dgs")
    assert code == 0
    assert preset("dgs")["dataset"]["elan"] == [
        {
            "sentence": "Deutsche_Übersetzung_A",
            "gloss": ["Lexem_Gebärde_r_A", "Lexem_Gebärde_l_A"],
            "media": "_1a1.mp4",
        },
        {"sentence": "Deutsche_Übersetzung_B", "media": "_1b1.mp4"},
    ]
    # one gloss in each sentence makes no isolated signs
    assert "clips     20" in out and "sentences 10" in out


@pytest.mark.parametrize(
    ("taken", "other"), [("Satz_A", "Satz_B"), ("S1 translation", "S2 translation"), ("text@1", "text@2")]
)
def test_a_second_person_whose_tier_has_no_known_name_is_not_left_out_without_a_word(
    new_project: Path, said: Said, taken: str, other: str
) -> None:
    tiers = {taken: SENTENCES, other: [text[:-1] for text in SENTENCES], "Satz_en": SENTENCES[:3]}
    sentences_eaf(new_project / "data/talks/a.eaf", tiers)
    write_videos(new_project / "data/talks", "a.mp4", seconds=3)
    code, out, _ = said("init", "data/talks")
    assert code == 0 and preset("talks")["dataset"]["elan"] == [{"sentence": taken}]
    assert f"not used  {other!r}, called like the tier {taken!r}: if another person signs there, add" in out
    assert "'Satz_en'" not in out


def test_known_tiers_are_found_whatever_way_their_letters_are_composed(new_project: Path, said: Said) -> None:
    tiers = {"Deutsche_Übersetzung_A": SENTENCES, "Lexem_Gebärde_r_A": ["HAUS"] * 10}
    apart = {unicodedata.normalize("NFD", name): texts for name, texts in tiers.items()}
    sentences_eaf(new_project / "data/dgs/12.eaf", {**apart, "Kommentar": ["x" * 99] * 10})
    write_videos(new_project / "data/dgs", "12_1a1.mp4", seconds=3)
    code, _, err = said("init", "data/dgs")
    assert code == 0, err
    person = preset("dgs")["dataset"]["elan"][0]
    assert (person["sentence"], person["gloss"]) == ("Deutsche_Übersetzung_A", ["Lexem_Gebärde_r_A"])


def test_init_and_check_say_which_files_lack_the_tier(new_project: Path, said: Said) -> None:
    for name in "abc":
        sentences_eaf(new_project / f"data/talks/{name}.eaf", {"Satz" if name < "c" else "satz": SENTENCES})
    write_videos(new_project / "data/talks", "a.mp4", "b.mp4", "c.mp4", seconds=3)
    lacking = (
        "no tier 'Satz' in 1 of 3 ELAN files, which give no clip; first data/talks/c.eaf, which has: "
        "default, satz"
    )
    code, out, err = said("init", "data/talks")
    assert code == 0, err
    assert f"not used  {lacking}" in out
    assert f"look at: {lacking}" in said("check", "talks")[1]


def test_a_damaged_elan_file_beside_a_table_is_named_and_not_used(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine", *(f"{n}.mp4" for n in range(10)))
    lines = ["video,sentence,signer_id", *(f"{n}.mp4,We go {n % 2}.,s{n % 5}" for n in range(10))]
    write(new_project / "data/mine", clips__csv="\n".join(lines) + "\n", old__eaf="<broken")
    code, out, err = said("init", "data/mine")
    assert code == 0, err
    assert preset("mine")["dataset"]["table"] == "data/mine/clips.csv"
    assert "not used  data/mine/old.eaf: not a readable ELAN file" in out


def test_a_few_files_with_known_tiers_do_not_hide_a_corpus_with_tiers_of_its_own(
    new_project: Path, said: Said
) -> None:
    for n in range(6):
        answered = {"sentence": SENTENCES * 2, "gloss": ["HOUSE"]} if n < 2 else {}
        by_hand = {"Translation": SENTENCES, "notes": ["x"]} if n else {"notes": ["x"]}
        sentences_eaf(new_project / f"data/talks/{n}.eaf", by_hand | answered)
    write_videos(new_project / "data/talks", *(f"{n}.mp4" for n in range(6)), seconds=3)
    code, out, err = said("init", "data/talks")
    assert code == 0, err
    assert preset("talks")["dataset"]["elan"] == [{"sentence": "Translation"}]
    assert "not used  no tier 'Translation' in 1 of 6 ELAN files" in out


def test_a_file_without_its_translation_leaves_the_known_tiers_chosen(new_project: Path, said: Said) -> None:
    for n in range(3):
        translated = {"English translation": SENTENCES} if n else {}
        sentences_eaf(new_project / f"data/talks/{n}.eaf", {**translated, "notes": ["ok"]})
    write_videos(new_project / "data/talks", "0.mp4", "1.mp4", "2.mp4", seconds=3)
    assert said("init", "data/talks")[0] == 0
    assert preset("talks")["dataset"]["elan"] == [{"sentence": "English translation"}]


def test_short_comments_in_all_files_are_no_sentences(new_project: Path, said: Said) -> None:
    for n in range(5):
        translated = {"sentence": SENTENCES} if n < 2 else {}
        sentences_eaf(
            new_project / f"data/talks/{n}.eaf", {**translated, "gloss": ["HOUSE"], "comment": ["ok"]}
        )
    write_videos(new_project / "data/talks", *(f"{n}.mp4" for n in range(5)), seconds=3)
    assert said("init", "data/talks")[0] == 0
    assert preset("talks")["dataset"]["elan"] == [{"sentence": "sentence", "gloss": ["gloss"]}]


def test_files_of_answers_with_glosses_alone_are_a_corpus_of_signs(new_project: Path, said: Said) -> None:
    for n in range(6):
        # the first is one answer, and the others are glosses one after the other, as align finds them
        line = ["TREE", "BARK", "GO", "THANK YOU"] if n else ["TREE"]
        write_tiers(
            new_project / f"data/signs/{n}.eaf",
            {
                "gloss": [Annotation(500 * k, 500 * k + 400, sign) for k, sign in enumerate(line)],
                "comment": [Annotation(0, 400, "is this the same sign as yesterday?")],  # a person's
            },
            None,
        )
    write_videos(new_project / "data/signs", *(f"{n}.mp4" for n in range(6)), seconds=3)
    code, out, err = said("init", "data/signs")
    assert code == 0, err
    given = preset("signs")
    assert given["dataset"]["elan"] == [{"sentence": "gloss", "gloss": ["gloss"]}]
    assert given["sign2text"]["task"] == "signs" and given["pipeline"] == {"families": ["sign2text"]}
    assert "signs     4: TREE, BARK, GO, THANK YOU" in out
