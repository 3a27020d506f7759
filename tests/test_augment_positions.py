"""Augmentation of pairs of x and y, set against the positions that the columns were made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from demo_params import section
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from signloom.augment.feature_rows import augment_positions, rotate_pairs, scale_pairs
from signloom.features.pose.position_features import position_features
from signloom.params.gloss import GlossPositionsParams

GROUPS = ["hands", "nose", "between", "velocity"]
LENGTHS = [1, 3, 40]
ALL = section(GlossPositionsParams, scale=0.1, rotation=5, shift=0.1, noise=0.03)


def points(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 30, (length, 3, 2))


def rows(length: int) -> np.ndarray:
    return position_features(points(length), GROUPS, 2).astype(np.float32)


@pytest.mark.parametrize("length", LENGTHS)
def test_columns_change_as_if_the_points_themselves_were_scaled_and_turned(length: int) -> None:
    factors, angle = np.array([0.9, 1.1]), math.radians(20)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved = (points(length) * factors) @ turn.T
    got = rotate_pairs(scale_pairs(rows(length), factors), angle)
    np.testing.assert_allclose(got, position_features(moved, GROUPS, 2), atol=1e-3)


@pytest.mark.parametrize("length", LENGTHS)
def test_an_offset_is_one_for_the_clip_and_leaves_velocities_alone(length: int) -> None:
    params = section(GlossPositionsParams, shift=0.5)
    before = rows(length)
    change = augment_positions(before, params, np.random.default_rng(1)) - before
    np.testing.assert_allclose(change, np.broadcast_to(change[0], change.shape), atol=1e-4)
    assert (np.abs(change[0, :8]) > 1e-3).all() and not change[:, 8:].any()
    draws = [
        augment_positions(before, params, np.random.default_rng(seed))[0, :8] - before[0, :8]
        for seed in range(300)
    ]
    assert np.std(draws) == pytest.approx(0.5, rel=0.1)


def test_noise_is_another_for_every_value() -> None:
    before = rows(400)
    change = (
        augment_positions(before, section(GlossPositionsParams, noise=0.2), np.random.default_rng(1)) - before
    )
    assert np.std(change) == pytest.approx(0.2, rel=0.05)
    assert np.abs(np.corrcoef(change.T) - np.eye(14)).max() < 0.25


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(0, 99))
def test_missing_pairs_stay_missing_and_the_input_is_left_alone(length: int, seed: int) -> None:
    before = rows(length)
    before[::2, 2:4] = np.nan
    kept = before.copy()
    once, again = (augment_positions(before, ALL, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(once, again, equal_nan=True) and once.dtype == np.float32
    assert np.array_equal(np.isnan(once), np.isnan(kept))
    assert np.array_equal(before, kept, equal_nan=True)
    still = augment_positions(before, section(GlossPositionsParams), np.random.default_rng(seed))
    assert np.array_equal(still, kept, equal_nan=True)


def test_a_clip_has_one_scale_and_one_angle_within_their_bounds() -> None:
    before, ratios, angles = rows(30), [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scaled = augment_positions(before, section(GlossPositionsParams, scale=0.1), rng) / before
        np.testing.assert_allclose(scaled[:, ::2], scaled[0, 0], rtol=1e-4)
        np.testing.assert_allclose(scaled[:, 1::2], scaled[0, 1], rtol=1e-4)
        ratios += [scaled[0, 0], scaled[0, 1]]
        turned = augment_positions(before, section(GlossPositionsParams, rotation=5), rng)
        change = (turned[:, ::2] + 1j * turned[:, 1::2]) / (before[:, ::2] + 1j * before[:, 1::2])
        np.testing.assert_allclose(change, change[0, 0], rtol=1e-3)
        angles.append(np.degrees(np.angle(change[0, 0])))
    assert 0.9 <= min(ratios) < 0.91 and 1.09 < max(ratios) <= 1.1
    assert -5.001 <= min(angles) < -4.5 and 4.5 < max(angles) <= 5.001


@pytest.mark.parametrize("bad", [{"scale": 1}, {"shift": -1}, {"offset": 1}])
def test_values_that_mean_nothing_are_refused(bad: dict) -> None:
    with pytest.raises(ValidationError):
        section(GlossPositionsParams, **bad)
