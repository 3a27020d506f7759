"""Gloss normalisation, on rows written in the form of the corpus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.text.normalise import EMPTY, normalise_glosses, scored_glosses


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("HEUTE loc-NORD REGEN", "HEUTE NORD REGEN"),
        ("cl-KOMMEN qu-WAS poss-MEIN lh-WOLKE", "KOMMEN WAS MEIN WOLKE"),
        ("lh-loc-SUED", "SUED"),
        ("loc-ALPENRAUM", "ALPEN"),
        ("SCHNEE-PLUSPLUS WIND", "SCHNEE WIND"),
        ("FLUSS-PLUSPLUS-PLUSPLUS", "FLUSS"),
        ("NORDRAUM KOMMEN", "NORD KOMMEN"),
        ("NORDRAUM-PLUSPLUS", "NORD"),
        ("__ON__ REGEN __EMOTION__ __PU__ WIND __LEFTHAND__ __EPENTHESIS__ __OFF__", "REGEN WIND"),
        ("M A I REGEN", "M+A+I REGEN"),
        ("JETZT S CH Ö N", "JETZT S CH Ö+N"),
        ("A+B C WIND", "A+B+C WIND"),
        ("R SCH NN O", "R+SCH+NN+O"),
        ("REGEN REGEN WIND WIND WIND REGEN", "REGEN WIND REGEN"),
        ("REGEN __PU__ REGEN", "REGEN"),
        ("loc-REGEN REGEN-PLUSPLUS", "REGEN"),
        ("__ON__ __PU__ __OFF__", EMPTY),
        ("", EMPTY),
        ("   ", EMPTY),
    ],
)
def test_phoenix_rules(line: str, want: str) -> None:
    assert normalise_glosses(line, "phoenix") == want


@pytest.mark.parametrize(
    "gloss", ["RAUM", "WELTRAUMFAHRT", "KLAR", "LOC-NORD", "PLUSPLUS", "I-X", "__X__", "ZWEI"]
)
def test_phoenix_rules_leave_other_glosses_alone(gloss: str) -> None:
    assert normalise_glosses(gloss, "phoenix") == gloss


def test_a_letter_that_is_spelled_twice_is_no_repeat() -> None:
    assert normalise_glosses("O T T O", "phoenix") == "O+T+T+O"


def test_none_only_tidies_spaces() -> None:
    assert normalise_glosses("  loc-NORD  __PU__\tREGEN REGEN ", "none") == "loc-NORD __PU__ REGEN REGEN"
    assert normalise_glosses("", "none") == ""


def test_an_empty_line_has_no_gloss_to_score() -> None:
    assert scored_glosses("__ON__", "phoenix") == []
    assert scored_glosses("[EMPTY]", "phoenix") == []
    assert scored_glosses("", "none") == []
    assert scored_glosses("loc-NORD REGEN", "phoenix") == ["NORD", "REGEN"]


GLOSSES = ["A", "B", "REGEN", "loc-NORD", "NORDRAUM", "cl-X-PLUSPLUS", "__PU__", "__ON__", "RAUM", "A+B"]


@given(st.lists(st.sampled_from(GLOSSES), max_size=8))
def test_normalising_again_changes_nothing(glosses: list[str]) -> None:
    once = normalise_glosses(" ".join(glosses), "phoenix")
    if once != EMPTY:
        assert normalise_glosses(once, "phoenix") == once
