"""Ids that are made from texts: stable, and never one for two texts."""

from __future__ import annotations

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
