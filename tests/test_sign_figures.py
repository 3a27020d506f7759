"""Figures of isolated signs against plain loops: the mean over classes, and bounds over clips and signers."""

from __future__ import annotations

import numpy as np
import pytest
from demo_params import section
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.metrics.retrieval import Ranked
from signloom.metrics.signs import class_accuracies, macro_accuracies, sign_figures
from signloom.params.evaluation import EvaluationParams

PARAMS = section(EvaluationParams, bootstrap=400, seed=1)


def ranked(*ranks: float) -> Ranked:
    nan = np.full(len(ranks), np.nan)
    return Ranked(np.array(ranks, np.float64), np.zeros(len(ranks), np.intp), nan, nan, nan)


def mean_of_classes(pairs: list[tuple[int, float]]) -> float:
    """The macro-averaged recall: of every class that occurs, the share of right clips; then their mean."""
    shares = []
    for sign in {sign for sign, _ in pairs}:
        of_sign = [right for other, right in pairs if other == sign]
        shares.append(sum(of_sign) / len(of_sign))
    return sum(shares) / len(shares)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0])), min_size=1, max_size=20),
    st.integers(0, 99),
)
def test_every_class_counts_alike_in_every_resample(pairs: list[tuple[int, float]], seed: int) -> None:
    classes, right = np.array([sign for sign, _ in pairs]), np.array([share for _, share in pairs])
    rows = np.random.default_rng(seed).integers(0, len(pairs), (7, len(pairs)))
    expected = [mean_of_classes([pairs[row] for row in resample]) for resample in rows]
    np.testing.assert_allclose(macro_accuracies(right, classes, rows), expected)
    names, shares, counts = class_accuracies(right, classes)
    assert shares.mean() == pytest.approx(mean_of_classes(pairs))
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        sign: [other for other, _ in pairs].count(sign) for sign in {sign for sign, _ in pairs}
    }


def test_a_rare_sign_weighs_as_much_as_a_frequent_one() -> None:
    # nine right clips of one sign, one wrong clip of another, and one whose sign is not in the gallery
    found = sign_figures(ranked(*[1] * 9, 3, np.nan), np.array([4] * 9 + [7, 8]), [""] * 11, PARAMS)
    assert (found["macro_accuracy"], found["classes"]) == (0.5, 2)
    assert found["ret_top1_by_signer"] == 0.9
    assert found["r_at_5_by_signer"] == 1.0
    assert found["ret_mrr_by_signer"] == pytest.approx((9 + 1 / 3) / 10)
    assert 0.5 == found["macro_accuracy_low"] <= found["macro_accuracy_high"] == 1.0
    assert found["macro_accuracy_by_signer_low"] is None
    assert (
        found["macro_accuracy_by_signer_reason"] == "too few signers for an interval: 0, expected 5 or more"
    )


def test_a_rank_of_five_is_among_the_first_five() -> None:
    found = sign_figures(ranked(5, 6), np.array([0, 1]), [""] * 2, PARAMS)
    assert found["r_at_5_by_signer"] == 0.5


def test_a_clip_without_a_rank_does_not_move_the_signers_of_the_others() -> None:
    ranks, classes, signers = [1, 1, 2, 6, 1, 3, 1, 9], np.arange(8) % 3, list("aabbcdef")
    more = sign_figures(ranked(np.nan, *ranks), np.array([0, *classes]), ["g", *signers], PARAMS)
    assert more == sign_figures(ranked(*ranks), classes, signers, PARAMS)


def test_bounds_over_signers_are_wider_where_signers_differ() -> None:
    # of six signers, three are always right and three are always wrong: twenty clips each, two signs in turn
    signers = [f"s{n // 20}" for n in range(120)]
    ranks, classes = [1 if n // 20 < 3 else 2 for n in range(120)], np.arange(120) % 2
    found = sign_figures(ranked(*ranks), classes, signers, PARAMS)
    assert found["macro_accuracy"] == found["macro_accuracy_by_signer"] == 0.5
    widths = [
        found[f"macro_accuracy{of}_high"] - found[f"macro_accuracy{of}_low"] for of in ("", "_by_signer")
    ]
    # about 4 standard errors of 0.5 / sqrt(120) clips, and of 0.5 / sqrt(6) signers
    assert 0.13 < widths[0] < 0.23 and 0.6 < widths[1] < 0.9
    # every signer has as many clips of each sign, so the two figures have about the same bounds
    assert found["ret_top1_by_signer_low"] == pytest.approx(found["macro_accuracy_by_signer_low"], abs=0.05)


def test_without_a_clip_every_figure_is_null_with_its_reason() -> None:
    found = sign_figures(ranked(), np.array([], np.int64), [], PARAMS)
    assert found["macro_accuracy"] is None and found["classes"] == 0
    assert (
        found["macro_accuracy_by_signer_reason"]
        == found["r_at_5_by_signer_reason"]
        == "no clip in this data set"
    )
