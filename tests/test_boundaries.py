"""Errors of boundaries: against hand-worked figures and resampling one by one, and what few signers allow."""

from __future__ import annotations

import numpy as np
import pytest
from demo_params import section

from signloom.metrics.bootstrap import resamples
from signloom.metrics.boundaries import boundary_errors, boundary_figures, compare_boundaries
from signloom.params.evaluation import EvaluationParams

FEW = section(EvaluationParams, bootstrap=200, seed=3)
ERRORS = [np.array([10.0, 80.0]), np.array([0.0, 200.0, 30.0, 161.0]), np.array([90.0, 160.0])]


def test_errors_are_in_milliseconds_of_starts_and_ends() -> None:
    found, truth = np.array([[0.1, 0.5], [0.6, 1.0]]), np.array([[0.2, 0.45], [0.6, 1.3]])
    np.testing.assert_allclose(boundary_errors(found, truth), [100, 50, 0, 300])


def test_figures_of_hand_worked_errors() -> None:
    got = boundary_figures(ERRORS, ["a", "a", "b"], FEW)
    assert got["median_ms"] == 85.0
    assert got["mean_ms"] == pytest.approx(731 / 8)
    assert got["within_80_ms"] == pytest.approx(4 / 8)  # an error of 80 is within 80
    assert got["within_160_ms"] == pytest.approx(6 / 8)
    assert got["median_ms_by_signer"] == 85.0
    assert got["median_ms_by_signer_low"] is None
    assert "too few signers" in got["median_ms_by_signer_reason"]


def test_the_interval_of_the_median_resamples_whole_clips() -> None:
    medians = [
        np.median(np.concatenate([ERRORS[row] for row in rows]))
        for chunk in resamples(3, FEW.bootstrap, FEW.seed)
        for rows in chunk
    ]
    got = boundary_figures(ERRORS, ["a", "a", "b"], FEW)
    assert [got["median_ms_low"], got["median_ms_high"]] == pytest.approx(np.percentile(medians, [2.5, 97.5]))


def test_signers_are_resampled_where_there_are_enough() -> None:
    errors, signers = ERRORS * 5, [str(number // 3) for number in range(15)]
    got = boundary_figures(errors, signers, FEW)
    assert got["median_ms_by_signer_low"] <= got["median_ms_by_signer"] <= got["median_ms_by_signer_high"]


def test_a_better_alignment_has_differences_below_0() -> None:
    worse = [clip + 50 for clip in ERRORS] * 3
    got = compare_boundaries(ERRORS * 3, worse, ["a"] * 9, FEW)
    back = compare_boundaries(worse, ERRORS * 3, ["a"] * 9, FEW)
    for name in ("difference_ms", "median_difference_ms"):
        for end in ("", "_low", "_high"):
            assert (got[name + end], back[name + end]) == pytest.approx((-50, 50))
    assert got["difference_ms_by_signer"] == pytest.approx(-50)
    assert got["p"] < 0.05


def test_without_a_clip_every_figure_is_null_with_a_reason() -> None:
    got = boundary_figures([], [], FEW) | compare_boundaries([], [], [], FEW)
    for name in ("median_ms", "mean_ms", "within_80_ms", "difference_ms", "median_difference_ms"):
        assert got[name] is None
        assert got[f"{name}_reason"] == "no clip with true times in this data set"
    assert (got["p"], got["p_reason"]) == (None, "no clip with true times in this data set")
