"""Ids that are made from texts: stable, and never one for two texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.dataset.forms.texts import one_form, sentence_ids, sentence_number, text_numbers

# two sentences with the same CRC-32
TWO = ["the doctor eats old coffee on Monday", "the doctor hides big coffee at home"]


def test_two_sentences_never_have_one_id() -> None:
    assert sentence_number(TWO[0]) == sentence_number(TWO[1])
    first, second = text_numbers(TWO)
    assert first == str(sentence_number(TWO[0])) != second
    assert text_numbers([TWO[1], "", *TWO]) == [second, "-1", first, second]
    assert text_numbers(TWO[1:]) == [first]
    assert sentence_ids(["", "", ""], [*TWO, TWO[1]]) == [first, second, second]
    assert sentence_ids([first, ""], ["Hello.", TWO[0]])[1] != first
    assert sentence_ids([first, ""], ["Hello there.", "Hello  there. "]) == [first, first]


def test_texts_that_look_equal_are_equal() -> None:
    copied = "\ufeffhe\u00adllo\u200b \u200b cafe\u0301\u2060"
    assert one_form(copied) == one_form("hello  café") == "hello caf\u00e9"
    assert one_form("\u200b") == ""
    assert one_form("e\u2060\u0301") == "\u00e9"  # what was parted belongs together
    khmer = "\u1781\u17d2\u1789\u17bb\u17c6\u200b\u1791\u17c5"
    assert one_form(khmer) == khmer  # the break between words stays


@pytest.mark.parametrize("mark", "\u200e\u200f\u061c\u034f\u200c\u200d\u2063\u206a\ufeff\u00ad\u2060\u200b")
def test_a_text_with_a_mark_that_nobody_sees_at_its_end_is_the_text_without_it(mark: str) -> None:
    sentence = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"
    assert one_form(sentence + mark) == one_form(f"{mark}{sentence} {mark}") == sentence
    hindi = "\u0915\u094d"  # a virama at the end, which is seen with and without U+200C
    assert mark == "\u200d" or one_form(hindi + mark) == hindi
    assert text_numbers([sentence, sentence + mark])[1] == text_numbers([sentence])[0]


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, between letters
        "\u0d05\u0d35\u0d28\u0d4d\u200d",  # Malayalam, a half letter at the end
        "\U0001f468\u200d\U0001f467 \u2764\ufe0f\u200d\U0001f525",  # pictures of several
    ],
)
def test_joiners_that_are_seen_stay(text: str) -> None:
    assert one_form(text) == text


@given(st.text(st.sampled_from("ae\u0301\u0627\u200b\u200c\u200d\u200f\u00ad \u2764\ufe0f")))
def test_the_one_form_of_a_text_is_its_own(text: str) -> None:
    assert one_form(one_form(text)) == one_form(text)
