"""Bootstrap intervals: equal to scoring every resampled corpus anew, seeded, and of the right width."""

from __future__ import annotations

import math

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from signloom.metrics.bleu_and_chrf import bleu_score, bleu_stats, chrf_score, chrf_stats
from signloom.metrics.bootstrap import (
    figure,
    interval,
    mean_figure,
    median_figure,
    ratio,
    resamples,
)
from signloom.metrics.wer import normalise, wer_multi_stats, wer_stats, words_of

WORDS = ["The", "the", "boy", "girl", "likes", "to", "eat", "an", "apple", ".", "?", "big", "don't", "Zoë"]
SENTENCE = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)


def corpus(seed: int, clips: int) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    references = [" ".join(rng.choice(WORDS, rng.integers(4, 9))) for _ in range(clips)]
    hypotheses = [text if rng.random() < 0.5 else " ".join(rng.choice(WORDS, 6)) for text in references]
    return references, hypotheses


@settings(max_examples=150)
@given(st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=5))
def test_summed_counts_give_the_scores_of_sacrebleu_and_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = [r for r, _ in pairs], [h for _, h in pairs]
    bleu = bleu_score(bleu_stats(references, hypotheses).sum(0, keepdims=True))[0]
    chrf = chrf_score(chrf_stats(references, hypotheses).sum(0, keepdims=True))[0]
    wer = ratio(wer_stats(references, hypotheses).sum(0, keepdims=True))[0]
    if any(references):
        assert bleu == pytest.approx(BLEU().corpus_score(hypotheses, [references]).score, abs=1e-9)
        assert chrf == pytest.approx(CHRF().corpus_score(hypotheses, [references]).score, abs=1e-9)
    else:
        assert math.isnan(bleu)
        assert math.isnan(chrf)
    words = [normalise(text) for text in references]
    if any(words):
        assert wer == pytest.approx(jiwer.wer(words, [normalise(text) for text in hypotheses]), abs=1e-12)
    else:
        assert math.isnan(wer)


def test_intervals_equal_those_of_scoring_every_resampled_corpus() -> None:
    references, hypotheses = corpus(1, 12)
    scores: dict[str, list[float]] = {"bleu": [], "chrf": [], "wer": []}
    for rows in np.concatenate(list(resamples(12, 120, 5))):
        r, h = [references[row] for row in rows], [hypotheses[row] for row in rows]
        scores["bleu"].append(BLEU().corpus_score(h, [r]).score)
        scores["chrf"].append(CHRF().corpus_score(h, [r]).score)
        scores["wer"].append(jiwer.wer([normalise(t) for t in r], [normalise(t) for t in h]))
    for name, stats, score in (
        ("bleu", bleu_stats, bleu_score),
        ("chrf", chrf_stats, chrf_score),
        ("wer", wer_stats, ratio),
    ):
        got = interval(stats(references, hypotheses), score, 120, 5)
        assert got == pytest.approx(np.percentile(scores[name], [2.5, 97.5]), abs=1e-9), name


def test_the_interval_of_a_mean_has_the_width_of_the_normal_approximation() -> None:
    values = (np.arange(400) % 4 == 0).astype(float)
    entries = mean_figure("exact", values, 4000, 0, "")
    half = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert entries["exact"] == 0.25
    assert entries["exact_low"] == pytest.approx(0.25 - half, abs=0.006)
    assert entries["exact_high"] == pytest.approx(0.25 + half, abs=0.006)


def test_the_interval_of_a_median_equals_a_plain_loop() -> None:
    values = np.array([1.0, 1, 2, 3, 8, 9, 20])
    medians = [sorted(values[row] for row in rows)[3] for rows in np.concatenate(list(resamples(7, 300, 2)))]
    value, *bounds = median_figure("med_rank", values, 300, 2, "").values()
    assert value == 3.0
    assert bounds == pytest.approx(np.percentile(medians, [2.5, 97.5]))


def test_resamples_of_many_clips_come_in_parts_that_are_one_draw() -> None:
    parts = list(resamples(1_500_000, 5, 3))
    assert len(parts) > 1
    whole = np.random.default_rng(3).integers(0, 1_500_000, (5, 1_500_000))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_an_undefined_figure_is_null_with_its_reason() -> None:
    nothing = figure("wer", np.zeros((0, 2)), ratio, 100, 0, "no clip")
    assert nothing == {"wer": None, "wer_low": None, "wer_high": None, "wer_reason": "no clip"}
    assert figure("wer", np.array([[2.0, 0.0]]), ratio, 100, 0, "no word")["wer_reason"] == "no word"
    assert mean_figure("x", np.array([np.nan]), 100, 0, "none")["x"] is None
    assert median_figure("x", np.array([]), 100, 0, "none")["x_reason"] == "none"


def test_a_clip_without_a_value_is_left_out_of_the_mean() -> None:
    assert mean_figure("x", np.array([1.0, np.nan, 3.0]), 100, 0, "")["x"] == 2.0


def test_words_are_compared_without_capitals_and_punctuation() -> None:
    assert (
        normalise("Don’t—STOP! “The 'big' house's”, well-known; 5 €")
        == "don't stop the big house's well known 5"
    )
    assert normalise("ß ﬁne") == "ss fine"
    assert normalise("İstanbul ISI") == normalise("I\u0307stanbul isi") == "istanbul isi"
    assert normalise("ısı") == "ısı"  # another letter
    assert normalise("कमला घर जाती है।") == "कमला घर जाती है"
    assert normalise(" ?! ") == ""


def test_word_errors_by_hand() -> None:
    stats = wer_stats(["The boy likes an apple.", "Yes.", "?"], ["the boy an red apple", "", "no word"])
    assert stats.tolist() == [[2, 5], [1, 1], [2, 0]]


def test_wer_multi_takes_the_reference_with_the_lowest_rate() -> None:
    references = [["a b c d", "a x"], ["a b", "!"], ["a b", "b a"]]
    stats = wer_multi_stats(references, ["a b c x", "b", "b a"])
    # 1 of 4 beats 3 of 2; a reference without words is passed over; the second reference fits
    assert stats.tolist() == [[1, 4], [1, 2], [0, 2]]


def test_bleu_of_the_papers_example_counts_clipped_words() -> None:
    # Papineni et al. 2002, section 2.1: seven times "the" against "The cat is on the mat."
    stats = bleu_stats(["the cat is on the mat"], ["the the the the the the the"])[0]
    assert stats.tolist() == [7, 6, 2, 0, 0, 0, 7, 6, 5, 4]


def test_an_empty_hypothesis_scores_nothing_and_costs_every_word() -> None:
    assert bleu_score(bleu_stats(["a b c d e"], [""]))[0] == 0.0
    assert chrf_score(chrf_stats(["a b c d e"], [""]))[0] == 0.0
    assert ratio(wer_stats(["a b c d e"], [""]))[0] == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "\u1781\u17d2\u1789\u17bb\u17c6\u200b\u1791\u17c5",
            ["\u1781\u17d2", "\u1789\u17bb\u17c6", "\u1791\u17c5"],
        ),
        ("I \u2764\ufe0f you", ["i", "you"]),
        ("\U0001f468\u200d\U0001f469 ok", ["ok"]),
        (
            "\u05e9\u05dc\u05d5\u05dd\u200f \u05e2\u05d5\u05dc\u05dd",
            ["\u05e9\u05dc\u05d5\u05dd", "\u05e2\u05d5\u05dc\u05dd"],
        ),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"],
        ),
        ("co\u00adop x\u200d", ["coop", "x"]),
    ],
)
def test_marks_that_nobody_sees_are_no_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_a_right_answer_without_the_marks_that_nobody_sees_is_right() -> None:
    reference, answer = "co\u00adoperate with\u200f us\u200btoo", "cooperate with us too"
    assert wer_stats([reference], [answer])[0].tolist() == [0, 4]
    assert bleu_score(bleu_stats([reference], [answer]))[0] == pytest.approx(100)
    assert chrf_score(chrf_stats([reference], [answer]))[0] == pytest.approx(100)
