"""Augmentation of feature rows and the mixing of clips, at every length."""

from __future__ import annotations

import numpy as np
import pytest
from demo_params import section
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from signloom.augment.feature_rows import (
    add_noise,
    augment_features,
    augment_rows,
    cut_mix,
    drop_columns,
    mask_time,
    mix_up,
)
from signloom.params.gloss import GlossAugmentParams
from signloom.params.sign2text import AugmentParams

LENGTHS = [1, 2, 3, 500]
FEATURES = section(GlossAugmentParams, feature_dropout_p=1, noise_p=1, time_mask_p=1)
POSE = section(AugmentParams, time_warp_p=1, frame_dropout=0.6, frame_dropout_p=1, noise_p=1, shift_p=1)


def clip(length: int, dim: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows around 3, whose first two columns are missing in every fourth row."""
    rng = np.random.default_rng(seed)
    values, mask = rng.normal(3, 1, (length, dim)).astype(np.float32), np.ones((length, 4), np.uint8)
    values[3::4, :2], mask[3::4, 1] = np.nan, 0
    return values, mask


@pytest.mark.parametrize("length", LENGTHS)
def test_every_augmentation_is_defined_at_every_length(length: int) -> None:
    values, mask = clip(length)
    before = values.copy(), mask.copy()
    for seed in range(20):
        pose, present = augment_rows(values, mask, POSE, np.random.default_rng(seed))
        assert 1 <= len(pose) == len(present) <= round(1.15 * length) and pose.dtype == np.float32
        assert np.array_equal(np.isnan(pose[:, 0]), present[:, 1] == 0), "features and mask agree"
        assert np.isfinite(pose[:, 2:]).all()
        rows, left = augment_features(values, mask, FEATURES, np.random.default_rng(seed))
        assert rows.shape == values.shape and left.shape == mask.shape and rows.dtype == np.float32
        assert np.isfinite(rows[:, 2:]).all()
        other = clip(int(np.random.default_rng(seed).integers(1, 9)), seed=seed)[0]
        share = float(np.random.default_rng(seed).beta(0.2, 0.2))
        cut, kept = cut_mix(values, other, share, np.random.default_rng(seed))
        assert 0 <= kept <= 1
        for mixed in (mix_up(values, other, share), cut):
            assert mixed.dtype == np.float32 and np.isfinite(mixed[:, 2:]).all()
    assert np.array_equal(values, before[0], equal_nan=True) and np.array_equal(mask, before[1])


@pytest.mark.parametrize("length", LENGTHS)
def test_the_same_generator_gives_the_same_rows_and_nothing_happens_at_probability_0(length: int) -> None:
    values, mask = clip(length)
    never = {name: 0.0 for name in ("feature_dropout_p", "noise_p", "time_mask_p", "mixup_p", "cutmix_p")}
    still = {name: 0.0 for name in ("time_warp_p", "frame_dropout_p", "noise_p", "shift_p")}
    for function, params, off in (
        (augment_features, FEATURES, section(GlossAugmentParams, **never)),
        (augment_rows, POSE, section(AugmentParams, **still)),
    ):
        once, again = (function(values, mask, params, np.random.default_rng(7)) for _ in range(2))
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(once, again, strict=True))
        assert np.array_equal(
            function(values, mask, off, np.random.default_rng(7))[0], values, equal_nan=True
        )


def test_a_dropped_column_is_0_in_the_whole_clip_and_the_mean_stays() -> None:
    values = clip(40, dim=4000)[0]
    dropped = drop_columns(values, 0.25, np.random.default_rng(0))
    gone = (dropped == 0).all(0)
    assert gone.mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_allclose(dropped[:, ~gone], values[:, ~gone] / 0.75, rtol=1e-6)
    assert np.nanmean(dropped) == pytest.approx(np.nanmean(values), rel=0.03)


def test_noise_has_the_deviation_asked_for_and_missing_stays_missing() -> None:
    values = clip(500, dim=100)[0]
    change = add_noise(values, 0.05, np.random.default_rng(0)) - values
    assert np.nanstd(change) == pytest.approx(0.05, rel=0.02) and abs(np.nanmean(change)) < 1e-3
    assert np.array_equal(np.isnan(change), np.isnan(values))


@pytest.mark.parametrize("length", LENGTHS)
def test_time_masks_hide_runs_of_bounded_length_and_never_the_whole_clip(length: int) -> None:
    values, mask = np.ones((length, 3), np.float32), np.ones((length, 4), np.uint8)
    seen = set()
    for seed in range(200):
        rows, present = mask_time(values, mask, 3, np.random.default_rng(seed))
        hidden = np.flatnonzero((rows == 0).all(1))
        assert np.array_equal(hidden, np.flatnonzero((present == 0).all(1)))
        assert len(hidden) == 0 or hidden[-1] - hidden[0] + 1 == len(hidden)
        seen.add(len(hidden))
    assert seen == set(range(min(3, length // 2) + 1))


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 99))
def test_mixed_clips_are_what_a_plain_loop_makes(first: int, second: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(first, 3)).astype(np.float32), 9 + rng.random((second, 3)).astype(np.float32)
    mixed = mix_up(a, b, share)
    assert mixed.shape == (max(first, second), 3)
    for t in range(max(first, second)):
        expected = share * (a[t] if t < first else 0) + (1 - share) * (b[t] if t < second else 0)
        np.testing.assert_allclose(mixed[t], expected, atol=1e-5)
    cut, kept = cut_mix(a, b, share, np.random.default_rng(seed))
    foreign = [t for t in range(first) if not np.array_equal(cut[t], a[t])]
    assert cut.shape == a.shape
    assert kept == pytest.approx(1 - len(foreign) / first)
    assert len(foreign) == min(round((1 - share) * first), second)
    if foreign:
        start = next(s for s in range(second) if np.array_equal(b[s], cut[foreign[0]]))
        run = b[start : start + len(foreign)]
        assert np.array_equal(cut[foreign[0] : foreign[-1] + 1], run), "one run of successive rows"


def test_a_clip_cannot_be_mixed_in_both_ways() -> None:
    with pytest.raises(ValidationError, match="mixup_p and cutmix_p must be at most 1"):
        section(GlossAugmentParams, mixup_p=0.6, cutmix_p=0.5)
