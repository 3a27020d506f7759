"""Comparisons of two builds: what is called a difference on simulated answers, and references by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sacrebleu.metrics import BLEU

from signloom.evaluation.build_differences import compare_answers, most_changed, paired
from signloom.metrics.bleu_and_chrf import bleu_score, bleu_stats
from signloom.metrics.bootstrap import ratio
from signloom.metrics.paired import Pair, decided, holm, paired_interval, signer_difference, swap_test

CLIPS, WORDS = 120, 4


def answers(rate: float, seed: int, seeds: int = 1, clips: int = CLIPS, spread: float = 0.0) -> pd.DataFrame:
    """Errors of a build whose word error rate is `rate`; a clip is as hard for one build as for the other.

    A seed moves the rate by a deviation of `spread`.
    """
    hard = np.random.default_rng(7).normal(0, 0.8, clips)  # the same in all builds
    generator = np.random.default_rng([seed, 1])
    errors = []
    for _ in range(seeds):
        shift = np.log(rate / (1 - rate)) + generator.normal(0, spread)
        errors.append(generator.binomial(WORDS, 1 / (1 + np.exp(-(shift + hard)))))
    return pd.DataFrame(
        {
            "model": "m",
            "seed": np.repeat([str(number or "") for number in range(seeds)], clips),
            "data": "test",
            "clip_id": [f"c{clip:03d}" for clip in range(clips)] * seeds,
            "signer_id": "s",
            "reference": "signed",
            "answer": "said",
            "errors": np.concatenate(errors).astype(float),
            "words": float(WORDS),
        }
    )


def called(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    (row,) = compare_answers(a, b, 500, 3)
    return row.differs


def test_no_true_difference_is_called_one_in_at_most_five_per_cent() -> None:
    assert np.mean([called(answers(0.3, n), answers(0.3, 1000 + n)) for n in range(200)]) <= 0.05


def test_a_true_difference_of_ten_points_is_found_in_eighty_per_cent() -> None:
    assert np.mean([called(answers(0.3, n), answers(0.2, 1000 + n)) for n in range(200)]) >= 0.80


def test_a_spread_of_seeds_is_not_taken_for_a_difference() -> None:
    # with one seed a side, training again often moves the rate as far as a change that matters
    several = [
        called(answers(0.3, n, 4, spread=0.3), answers(0.3, 1000 + n, 4, spread=0.3)) for n in range(200)
    ]
    assert np.mean(several) <= 0.08


def test_a_build_compared_with_itself_does_not_differ() -> None:
    one = answers(0.3, 1)
    (row,) = compare_answers(one, one, 200, 1)
    assert row.difference == row.low == row.high == 0
    assert row.p == 1 and not row.moved and not row.differs
    assert most_changed(one, one, 5).empty


def counts(errors: list[float], words: list[float]) -> np.ndarray:
    """Counts (1, clips, 2) of a build with one seed."""
    return np.stack([np.array(errors), np.array(words)], 1)[None]


def test_the_p_value_is_the_share_of_all_swaps_that_are_as_extreme() -> None:
    errors, words = ([2.0, 0, 1, 3, 1, 0, 2], [0.0, 0, 0, 1, 2, 0, 0]), [4.0] * 7
    moved = np.subtract(errors[1], errors[0])
    sums = [abs(np.dot(signs, moved)) for signs in itertools.product([-1, 1], repeat=len(moved))]
    exact = np.mean([total >= abs(moved.sum()) for total in sums])
    pair = Pair(counts(errors[0], words), counts(errors[1], words), ratio)
    assert swap_test(pair, 40_000, 1) == pytest.approx(exact, abs=0.01)


def test_swaps_as_extreme_as_the_observed_answers_count_although_means_over_seeds_are_rounded() -> None:
    errors = np.random.default_rng(24).integers(0, 4, (2, 3, 8)).astype(float)
    a, b = (np.stack([build, np.full_like(build, WORDS)], 2) for build in errors)
    moved = (errors[1] - errors[0]).sum(0)  # whole numbers, which add up exactly
    sums = [abs(np.dot(signs, moved)) for signs in itertools.product([-1, 1], repeat=len(moved))]
    exact = np.mean([total >= abs(moved.sum()) for total in sums])
    assert swap_test(Pair(a, b, ratio), 40_000, 1) == pytest.approx(exact, abs=0.01)


def test_the_observed_answers_are_among_the_swaps_that_the_p_value_counts() -> None:
    pair = Pair(counts([1.0] * 40, [4.0] * 40), counts([0.0] * 40, [4.0] * 40), ratio)
    assert swap_test(pair, 99, 1) == 1 / 100


def test_the_p_value_of_bleu_is_that_of_sacrebleu_on_all_swaps() -> None:
    references = ["the old man works at home", "we drink water and tea", "my sister sees a tree today"]
    a = ["the old man works home", "we drink water and tea today", "my sister sees a tree today"]
    b = ["the old man is at home", "we drink tea", "my brother sees the tree today"]

    def difference(swapped: tuple[bool, ...]) -> float:
        sides = zip(
            *((y, x) if swap else (x, y) for x, y, swap in zip(a, b, swapped, strict=True)), strict=True
        )
        first, second = (BLEU().corpus_score(list(side), [references]).score for side in sides)
        return second - first

    all_swaps = [abs(difference(swapped)) for swapped in itertools.product([False, True], repeat=3)]
    exact = np.mean([moved >= all_swaps[0] - 1e-9 for moved in all_swaps])
    assert 0.1 < exact < 1
    pair = Pair(bleu_stats(references, a)[None], bleu_stats(references, b)[None], bleu_score)
    assert swap_test(pair, 40_000, 1) == pytest.approx(exact, abs=0.01)


def test_the_interval_is_that_of_a_plain_loop_over_resamples() -> None:
    generator = np.random.default_rng(5)
    words = generator.integers(1, 6, 30)
    a, b = (generator.binomial(words, rate) for rate in (0.4, 0.3))
    values = []
    for _ in range(4000):
        rows = generator.integers(0, 30, 30)
        values.append((b[rows].sum() - a[rows].sum()) / words[rows].sum())
    found = paired_interval(Pair(counts(a, words), counts(b, words), ratio), 4000, 2)
    assert found == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.02)


def test_the_interval_over_seeds_is_that_of_new_seeds() -> None:
    # clips without any chance of their own, so that only the three seeds of b move the rate
    a = np.tile([1.0, 2.0], (1, 50, 1))
    b = np.stack([np.tile([1.0 + shift, 2.0], (50, 1)) for shift in (-0.2, 0.0, 0.2)])
    low, high = paired_interval(Pair(a, b, ratio), 4000, 2)
    # one resample in 27 has only the seed with a rate of 0.6; its distance is widened by the root of 3 / 2
    assert (low, high) == pytest.approx((-0.1 * 1.5**0.5, 0.1 * 1.5**0.5))


def test_rows_whose_clips_did_not_change_do_not_cost_the_others_anything() -> None:
    a, b = answers(0.3, 1), answers(0.2, 2)
    (alone,) = compare_answers(a, b, 500, 3)
    sides = [pd.concat([side, *(a.assign(data=f"same{n}") for n in range(9))]) for side in (a, b)]
    rows = compare_answers(*sides, 500, 3)
    assert [row.moved for row in rows] == [True] + [False] * 9
    assert rows[0].p == alone.p
    sides = [pd.concat([side, side.assign(data="again")]) for side in (a, b)]
    assert [row.p for row in compare_answers(*sides, 500, 3)] == [min(1, 2 * alone.p)] * 2


def test_scores_are_those_of_sacrebleu_and_of_counting() -> None:
    references, said = ["the old man works at home", "we drink water"], ["the old man works home", "we drink"]
    table = answers(0.3, 1, clips=2).assign(model="sign2text", reference=references, errors=1.0, words=[6, 3])
    found = compare_answers(table.assign(answer=references, errors=0.0), table.assign(answer=said), 200, 1)
    assert [row.metric for row in found] == ["wer", "bleu4"]
    assert [row.a for row in found] == pytest.approx([0, 100])
    assert found[0].b == 2 / 9
    assert found[1].b == pytest.approx(BLEU().corpus_score(said, [references]).score)
    (row,) = compare_answers(
        table.assign(model="retrieval", words=1.0),
        table.assign(model="retrieval", words=1.0, errors=[0, 1]),
        200,
        1,
    )
    assert (row.metric, row.a, row.b) == ("ret_top1", 0.0, 0.5)


def test_holms_correction_is_the_published_example() -> None:
    # multiplied by 4, 3, 2, 1 in the order of size, and never smaller than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [((0.1, 0.3), True), ((-0.3, -0.1), True), ((0.0, 0.3), False), ((-0.3, 0.0), False)],
)
def test_an_interval_that_ends_at_0_decides_nothing(bounds: tuple[float, float], expected: bool) -> None:
    assert decided(0.01, bounds) == expected


def test_only_clips_that_both_have_with_equal_references_are_compared() -> None:
    a, b = answers(0.3, 1, clips=6), answers(0.2, 2, clips=5)
    b.loc[b["clip_id"] == "c000", "reference"] = "another"
    sides, left_out = paired(a, b)
    assert [list(side[0]["clip_id"]) for side in sides] == [["c001", "c002", "c003", "c004"]] * 2
    # one clip is missing, and one has two references
    assert left_out == 2


def test_builds_without_a_common_clip_have_no_row() -> None:
    assert compare_answers(answers(0.3, 1), answers(0.3, 1).assign(reference="another"), 50, 1) == []


def test_the_clips_that_changed_most_come_first_with_both_answers() -> None:
    a, b = answers(0.3, 1, clips=4), answers(0.3, 1, clips=4).assign(answer=["0", "1", "2", "3"])
    b.loc[2, "errors"] += 3
    b.loc[1, "errors"] -= 1
    shown = most_changed(a, b, 5)
    assert shown["clip_id"].tolist() == ["c002", "c001"]
    assert (shown["errors_b"] - shown["errors_a"]).tolist() == [3, -1]
    assert shown["answer_a"].tolist() == ["said", "said"]
    assert shown["answer_b"].tolist() == ["2", "1"]


def test_the_difference_by_signer_is_that_of_the_mean_scores_of_the_seeds() -> None:
    references = ["a b c d e", "f g h i j", "k l m n o p"]
    answers_of = [
        ["a b c d e", "f g h", "x"],
        ["a b x d e", "f g h i j", "k l m n"],
        ["y", "f g h i", "k l m n o p"],
    ]
    runs = np.stack([bleu_stats(references, texts) for texts in answers_of])
    pair = Pair(runs[:1], runs, bleu_score, ["s1", "s2", "s3"])
    scores = [BLEU().corpus_score(texts, [references]).score for texts in answers_of]
    found = signer_difference(pair, 50, 1)["difference_by_signer"]
    assert found == pytest.approx(np.mean(scores) - scores[0])
