"""`signloom check` says what looks wrong with the people and the texts of a corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from signloom.dataset import findings
from signloom.text import tokenizer
from tests.checked_tables import ROWS, checked
from tests.form_files import write, write_videos

Said = Callable[..., tuple[int, str, str]]


def test_check_says_who_signs_and_which_signs_have_few_clips(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    lines = [f"{n}.mp4,{'AB'[n % 2]},anna" for n in range(8)] + ["8.mp4,RARE,anna"]
    checked(new_project, [], splits={"mode": "clip"})
    write(new_project / "data/mine", clips__csv="video,gloss,signer_id\n" + "\n".join(lines))
    code, out, _ = said("check", "mine")
    assert code == 0
    assert "signs     3, 1 of them with only one clip" in out
    assert "look at: all signed clips are of anna" in out
    assert "look at: 1 of 3 signs have fewer than 3 clips in training, such as 'RARE' with " in out


def test_check_counts_the_clips_of_a_sign_that_training_has(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    # four clips of B, of which training has one
    splits = dict.fromkeys("1", "train") | dict.fromkeys("35", "val") | dict.fromkeys("7", "test")
    lines = [f"{n}.mp4,{'AB'[n % 2]},{splits.get(str(n), 'train')}" for n in range(9)]
    checked(new_project, [], splits={"mode": "predefined"})
    write(new_project / "data/mine", clips__csv="video,gloss,split\n" + "\n".join(lines))
    _, out, _ = said("check", "mine")
    assert "1 of 2 signs have fewer than 3 clips in training, such as 'B' with 1; record more" in out


@pytest.mark.parametrize(("sentence", "shown"), [(2, True), (1, False)])
def test_a_validation_that_cannot_choose_thresholds_is_named(
    new_project: Path, said: Said, sentence: int, shown: bool
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(
        new_project,
        [*ROWS[:7], "7.mp4,1,sentence 1,s2,test,", f"8.mp4,{sentence},sentence {sentence},s2,val,"],
    )
    words = "look at: no validation clip has a sentence or sign of training, so no thresholds can be chosen"
    assert (words in said("check", "mine")[1]) == shown


def test_clips_without_a_text_and_glosses_in_other_capitals_are_named(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    lines = [f"{n}.mp4,{('a b,A B', ',', 'a b,a B')[n % 3]},{'test' if n > 5 else 'train'}" for n in range(9)]
    checked(new_project, [], splits={"mode": "predefined"}, pipeline={"families": ["gloss"]})
    write(new_project / "data/mine", clips__csv="video,sentence,gloss,split\n" + "\n".join(lines))
    out = said("check", "mine")[1]
    assert "unsigned  3" in out
    assert "look at: 3 of 9 clips have neither a sentence nor a gloss, first 1, and count as clips in" in out
    assert "look at: 1 sign differs from another only in capitals or wide letters, first 'a' from 'A'" in out


def test_glosses_that_end_with_a_comma_are_named(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(8)))
    lines = [f'{n}.mp4,a b {n},"A, B",{"test" if n > 5 else "train"}' for n in range(8)]
    checked(new_project, [], splits={"mode": "predefined"}, pipeline={"families": ["gloss"]})
    write(new_project / "data/mine", clips__csv="video,sentence,gloss,split\n" + "\n".join(lines))
    assert "8 of 16 glosses end with a comma or semicolon, first 'A,'" in said("check", "mine")[1]


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [("Haus", "HAUS", True), ("说（2）", "说(2)", True), ("IŞIK", "işik", True), ("GO", "GO++", False)],
)
@pytest.mark.parametrize("line", ["{}", "{} X"])
def test_signs_that_differ_only_in_capitals_or_wide_letters_are_named(
    new_project: Path, said: Said, one: str, other: str, named: bool, line: str
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(8)))
    lines = [f"{n}.mp4,{line.format((one, other)[n % 2])}" for n in range(8)]
    checked(new_project, [], splits={"mode": "clip"}, pipeline={"families": ["sign2text", "gloss"]})
    write(new_project / "data/mine", clips__csv="video,gloss\n" + "\n".join(lines))
    words = "1 sign differs from another only in capitals or wide letters, first "
    pair = " from ".join(map(repr, sorted((one, other), reverse=True)))
    assert (f"{words}{pair}: they count as two signs" in said("check", "mine")[1]) == named


def test_check_counts_the_glosses_of_the_test_that_training_lacks(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    lines = [f"{n}.mp4,{('a,A', 'a b,A B')[n % 2]},{'test' if n > 5 else 'train'}" for n in range(8)] + [
        "8.mp4,b c,B C C,test"
    ]
    table = "video,sentence,gloss,split\n" + "\n".join(lines)
    for families, shown in ((["gloss"], True), (["sign2text"], False)):
        checked(new_project, [], splits={"mode": "predefined"}, pipeline={"families": families})
        write(new_project / "data/mine", clips__csv=table)
        words = "1 gloss of the test is in no training clip, first 'C': 2 of 6 glosses there cannot be right"
        assert (f"look at: {words}" in said("check", "mine")[1]) == shown


@pytest.mark.parametrize("mode", ["predefined", "clip", "signer"])
def test_check_says_which_sentences_of_the_test_are_in_training(
    new_project: Path, said: Said, mode: str
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    rows = [row.replace(",val,", ",test,") for row in ROWS]
    shares = {"val_share": 0.0, "test_share": 0.3}
    checked(new_project, rows, splits={"mode": mode, **shares})
    code, out, _ = said("check", "mine")
    assert code == 0, out
    assert "sentences of the test are in training too, first 'sentence" in out
    assert "look at: 1 of 1 sentences of the test are in" in out or mode != "predefined"
    table = "video,gloss,signer_id,split\n"
    table += "\n".join(f"{n}.mp4,{'AB'[n % 2]},s{n % 3},{'train' if n < 7 else 'test'}" for n in range(9))
    write(new_project / "data/mine", clips__csv=table)
    assert "are in training too" not in said("check", "mine")[1]


def test_check_names_a_task_that_does_not_fit_the_texts(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(new_project, [], splits={"mode": "clip"})
    table = "video,gloss,signer_id\n" + "\n".join(f"{n}.mp4,{'AB'[n % 2]},s{n % 3}" for n in range(9))
    write(new_project / "data/mine", clips__csv=table)
    assert "look at: every text is one gloss, and sign2text.task is sentences" in said("check", "mine")[1]
    signs = {"sign2text": {"task": "signs"}, "splits": {"mode": "clip"}}
    checked(new_project, [], **signs)
    write(new_project / "data/mine", clips__csv=table)
    assert "sign2text.task" not in said("check", "mine")[1]
    checked(new_project, ROWS, **signs)
    assert "look at: sign2text.task is signs, and not every text is one gloss" in said("check", "mine")[1]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("A,THANK YOU", "19 of 20 signed clips have one gloss, and 'THANK YOU' is not one"),
        (
            "A B,",
            "19 of 20 signed clips have one gloss, and 'A B' is not one; "
            "if each clip shows one sign, write A_B",
        ),
        ("other,A", "every clip has one gloss, and A has the sentences 'A' and 'other'"),
        ("this is not A,A", "every clip has one gloss, and A has the sentences 'A' and 'this is not A'"),
        (
            "A,A-2",
            "2 glosses share their sentence with others, first A and A-2 with 'A', and count as one sign",
        ),
        ("C,C", ""),
        ("a whole sentence of words,A B C", "19 of 20 signed clips"),
    ],
)
def test_check_init_and_build_name_what_makes_a_dictionary_sentences_or_two_signs_one(
    new_project: Path, said: Said, odd: str, words: str
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(20)))
    checked(new_project, [], splits={"mode": "clip"})
    rows = [f"{n}.mp4,{'AB'[n % 2]},{'AB'[n % 2]},s{n % 3}" for n in range(19)]
    table = "\n".join(["video,sentence,gloss,signer_id", *rows, f"19.mp4,{odd},s1"])
    write(new_project / "data/mine", clips__csv=table)
    shown = said("check", "mine")[1]
    assert f"look at: {words}" in shown if words else "if each" not in shown and "as one sign" not in shown
    (new_project / "config/presets/mine.yaml").unlink()
    shown = said("init", "data/mine")[1]
    assert f"look at   {words}" in shown if words else "look at" not in shown


def test_a_dictionary_of_sentences_of_one_word_is_named(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(20)))
    checked(new_project, [], splits={"mode": "clip"})
    rows = [f"{n}.mp4,{('house', 'thank you')[n == 9]},s{n % 3}" for n in range(20)]
    write(new_project / "data/mine", clips__csv="\n".join(["video,sentence,signer_id", *rows]))
    words = "no clip has a gloss, and the sentences of 19 of 20 signed clips are one word; if each clip"
    assert f"look at: {words}" in said("check", "mine")[1]


def test_lines_of_glosses_are_taken_for_no_dictionary(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(20)))
    checked(new_project, [], splits={"mode": "clip"})
    rows = [f"{n}.mp4,a sentence of words {n},{'AB'[n % 2]},s{n % 3}" for n in range(20)]
    write(new_project / "data/mine", clips__csv="\n".join(["video,sentence,gloss,signer_id", *rows]))
    assert "shows one sign" not in said("check", "mine")[1], "one gloss was annotated in each sentence"


def test_a_part_without_clips_is_named_unless_none_was_wanted(new_project: Path, said: Said) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    rows = [row.replace(",val,", ",test,") for row in ROWS]
    checked(new_project, rows)
    code, out, _ = said("check", "mine")
    assert code == 0 and "look at: val has no signed clip" in out
    checked(new_project, rows, splits={"val_share": 0.0})
    assert "no signed clip" not in said("check", "mine")[1]


def test_what_keeps_a_bundle_from_answering_is_said_before_the_training(
    new_project: Path, said: Said
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(9)))
    checked(
        new_project, [row.replace("sentence 1", "so <unk> what") for row in ROWS], splits={"test_share": 0}
    )
    table = new_project / "data/mine/clips.csv"
    lines = table.read_text().splitlines()
    table.write_text(
        "\n".join([f"{lines[0]},consent", *(f"{line},train pictures" for line in lines[1:])]) + "\n"
    )
    code, out, _ = said("check", "mine")
    assert code == 1
    assert "must be mended: no training clip allows the use `features` (column consent)" in out
    assert "must be mended: the sentence 'so <unk> what' has <unk>, a mark of the tokenizer" in out
    assert list(findings.MARKS) == tokenizer.SPECIALS


@pytest.mark.parametrize(("times", "probability", "fit"), [("", 0.5, False), ("", 0, True), ("x", 0.5, True)])
def test_new_sentences_without_times_of_glosses_are_named(
    new_project: Path, said: Said, times: str, probability: float, fit: bool
) -> None:
    write_videos(new_project / "data/mine/videos", *(f"{n}.mp4" for n in range(8)))
    checked(
        new_project,
        [],
        splits={"mode": "predefined"},
        pipeline={"families": ["gloss"]},
        gloss_recompose={"join_p": probability},
    )
    pairs = times and '"[[0.0, 0.1], [0.1, 0.2]]"'
    lines = [f"{n}.mp4,{'AB'[n % 2]} C,{'test' if n > 5 else 'train'},{pairs}" for n in range(8)]
    write(new_project / "data/mine", clips__csv="video,gloss,split,gloss_times\n" + "\n".join(lines))
    words = "must be mended: gloss_recompose makes sentences of training clips with gloss times, and none has"
    assert (words not in said("check", "mine")[1]) == fit
