"""The words that error rates count, in scripts with and without spaces between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from signloom.metrics.bleu_and_chrf import bleu_score, bleu_stats
from signloom.metrics.wer import spaced, wer_stats, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't know.", ["i", "don't", "know"]),
        ("我喝茶。", ["我", "喝", "茶"]),
        ("我有iPhone 5", ["我", "有", "iphone", "5"]),
        ("お茶をのむ", ["お", "茶", "を", "の", "む"]),
        ("ที่นี่", ["ที่", "นี่"]),  # marks stay with their letter
        ("मैं पीता हूँ", ["मैं", "पीता", "हूँ"]),
        ("나는 차를", ["나는", "차를"]),
        ("أنا أشرب", ["أنا", "أشرب"]),
        ("كتـــاب", ["كتاب"]),  # stretched
        ("", []),
    ],
)
def test_words_are_those_between_spaces_or_the_characters_of_scripts_without(
    text: str, words: list[str]
) -> None:
    assert words_of(text) == words


def test_one_wrong_character_is_one_error() -> None:
    assert wer_stats(["我明天去学校上课。"], ["我今天去学校上课。"]).tolist() == [[1.0, 8.0]]


def test_bleu_is_that_of_sacrebleu_for_chinese() -> None:
    references = ["我明天去学校上课。", "他喜欢喝绿茶,不喜欢咖啡。", "他说：“你好……”——真的★"]
    hypotheses = ["我今天去学校上课。", "他喜欢喝红茶,不喜欢咖啡。", "她说：“你好……”——是吗★"]
    ours = bleu_score(bleu_stats(references, hypotheses).sum(0)[None])[0]
    theirs = BLEU(tokenize="zh").corpus_score(hypotheses, [references]).score
    assert ours == pytest.approx(theirs, abs=1e-6)


@given(st.text(st.characters(max_codepoint=0x0DFF)))
def test_scripts_with_spaces_are_left_as_they_are(text: str) -> None:
    assert spaced(text) == text
