"""How badly clips fit their labels: against a slow plain reference, and where there is little to compare."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.evaluation import misfit
from signloom.evaluation.misfit import (
    BAND,
    CANDIDATES,
    NEAREST,
    SHOWN,
    fit_of,
    p_values,
    warped_distances,
)
from signloom.evaluation.rivals import resampled
from signloom.inference.dtw import banded


def plain_fit(point, label, gallery, labels, skip):  # type: ignore[no-untyped-def]
    """Return own and other mean distance, the other label and the nearest rows, one pair at a time."""
    by_label: dict[int, list[float]] = {}
    ranked = []
    for row, (there, name) in enumerate(zip(gallery, labels, strict=True)):
        if row != skip:
            distance = float(np.sqrt(sum((a - b) ** 2 for a, b in zip(point, there, strict=True))))
            by_label.setdefault(int(name), []).append(distance)
            ranked.append((distance, row))
    means = {name: float(np.mean(sorted(its)[:NEAREST])) for name, its in by_label.items()}
    own = means.pop(int(label), float("nan"))
    nearer = min(means, key=lambda name: (means[name], name), default=-1)
    return own, means.get(nearer, float("nan")), nearer, [row for _, row in sorted(ranked)[:SHOWN]]


@pytest.mark.parametrize("clips", [1, 2, 5, 300])  # 300 are two chunks
def test_a_fit_equals_that_of_plain_loops(clips: int) -> None:
    rng = np.random.default_rng(clips)
    points, labels = rng.normal(size=(clips, 4)), rng.integers(0, 6, clips)
    fit = fit_of(points, labels, points, labels, np.arange(clips))
    for row in range(0, clips, 1 + clips // 40):
        own, other, label, near = plain_fit(points[row], labels[row], points, labels, row)
        np.testing.assert_allclose([fit.own[row], fit.other[row]], [own, other], rtol=1e-6)
        assert fit.label[row] == label
        np.testing.assert_allclose(fit.misfit[row], own / (own + other), rtol=1e-6)
        assert fit.nearest[row][fit.nearest[row] >= 0].tolist() == near


def test_a_gallery_in_parts_gives_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    points, labels = rng.normal(size=(50, 8)).astype(np.float32), rng.integers(0, 6, 50)
    whole = fit_of(points, labels, points, labels, np.arange(50), frames=4)
    monkeypatch.setattr(misfit, "_PART", 7)
    parts = fit_of(points, labels, points, labels, np.arange(50), frames=4)
    np.testing.assert_allclose(parts.misfit, whole.misfit, rtol=1e-9)
    np.testing.assert_array_equal(parts.nearest, whole.nearest)


def test_clips_outside_a_gallery_are_compared_with_all_of_it() -> None:
    rng = np.random.default_rng(1)
    gallery, labels = rng.normal(size=(20, 3)), rng.integers(0, 3, 20)
    queries, own = rng.normal(size=(4, 3)), np.array([0, 1, 2, 9])
    fit = fit_of(queries, own, gallery, labels)
    for row in range(4):
        expected = plain_fit(queries[row], own[row], gallery, labels, None)
        np.testing.assert_allclose([fit.own[row], fit.other[row]], expected[:2], rtol=1e-6)
    assert np.isnan(fit.misfit[3])  # the gallery lacks its label


def test_a_label_with_one_clip_and_a_corpus_of_one_label_say_nothing() -> None:
    points = np.array([[0.0], [1.0], [2.0]])
    alone = fit_of(points, np.array([7, 8, 8]), points, np.array([7, 8, 8]), np.arange(3))
    assert np.isnan(alone.misfit[0]) and alone.own_clip[0] == -1 and alone.other_clip[0] == 1
    one = fit_of(points, np.array([7, 7, 7]), points, np.array([7, 7, 7]), np.arange(3))
    assert np.isnan(one.misfit).all() and (one.label == -1).all()


def test_identical_clips_are_undecided() -> None:
    points, labels = np.ones((4, 2)), np.array([0, 0, 1, 1])
    fit = fit_of(points, labels, points, labels, np.arange(4))
    assert fit.misfit.tolist() == [0.5] * 4


@pytest.mark.parametrize("frames", [1, 3, 16])
def test_warped_distances_equal_those_of_the_search(frames: int) -> None:
    rng = np.random.default_rng(frames)
    clip, others = rng.normal(size=(frames, 2)), rng.normal(size=(5, frames, 2))
    # a window of n in dtw.banded leaves n - 1 frames to either side
    expected = [np.sqrt(banded(clip, other, BAND + 1)) for other in others]
    np.testing.assert_allclose(warped_distances(clip, others), expected)


def test_warping_compares_the_nearest_clips_and_those_of_the_own_label() -> None:
    rng = np.random.default_rng(2)
    points, labels = rng.normal(size=(60, 4 * 2)), np.repeat([0, 1, 2], 20)
    fit = fit_of(points, labels, points, labels, np.arange(60), frames=4)
    for row in range(0, 60, 7):
        others = np.delete(np.arange(60), row)
        near = others[np.argsort(((points[others] - points[row]) ** 2).sum(1))][:CANDIDATES]
        apart = {
            n: np.sqrt(banded(points[row].reshape(4, 2), points[n].reshape(4, 2), BAND + 1)) for n in near
        }
        means = {
            label: np.mean(sorted(d for n, d in apart.items() if labels[n] == label)[:NEAREST])
            for label in range(3)
        }
        assert fit.own[row] == pytest.approx(means.pop(labels[row]), rel=0.1)
        assert fit.other[row] == pytest.approx(min(means.values()))
        assert fit.nearest[row].tolist() == sorted(apart, key=lambda n: apart[n])[:SHOWN]


def test_labels_with_many_clips_have_a_misfit_by_warping_too() -> None:
    rng = np.random.default_rng(4)
    many = CANDIDATES + 20
    labels = np.repeat([0, 1], many)
    points = rng.normal(size=(2, 4 * 2))[labels] + 0.1 * rng.normal(size=(2 * many, 4 * 2))
    labels[3] = 1  # by mistake
    fit = fit_of(points, labels, points, labels, np.arange(2 * many), frames=4)
    assert np.isfinite(fit.misfit).all() and (fit.label == 1 - labels).all()
    assert p_values(fit.misfit)[3] == 1 / (2 * many)
    theirs = points[labels == 1].reshape(-1, 4, 2)
    apart = sorted(np.sqrt(banded(points[7].reshape(4, 2), it, BAND + 1)) for it in theirs)
    assert fit.other[7] == pytest.approx(np.mean(apart[:NEAREST]), rel=0.05)


def test_an_empty_gallery_says_nothing() -> None:
    fit = fit_of(np.ones((2, 3)), np.array([0, 1]), np.zeros((0, 3)), np.zeros(0, np.int64))
    assert np.isnan(fit.misfit).all() and (fit.nearest == -1).all()


def test_the_only_clip_of_a_gallery_has_no_misfit() -> None:
    point = np.ones((1, 8))
    for frames in ({}, {"frames": 4}):
        fit = fit_of(point, np.array([0]), point, np.array([0]), np.arange(1), **frames)
        assert np.isnan(fit.misfit).all()


def test_a_p_value_is_the_share_of_clips_that_fit_as_badly_or_worse() -> None:
    misfit = np.array([0.2, 0.9, np.nan, 0.5, 0.9])
    known = [value for value in misfit if value == value]
    expected = [sum(one >= value for one in known) / len(known) for value in misfit if value == value]
    found = p_values(misfit)
    assert np.isnan(found[2])
    assert found[[0, 1, 3, 4]].tolist() == expected == [1.0, 0.5, 0.75, 0.5]
    assert np.isnan(p_values(np.array([np.nan]))).all()


@pytest.mark.parametrize("length", [1, 3, 40])
def test_clips_of_every_length_become_as_many_frames(length: int) -> None:
    rows = np.random.default_rng(0).normal(size=(length, 2))
    times = np.linspace(0, length - 1, 16)
    expected = np.stack([np.interp(times, range(length), column) for column in rows.T], axis=1)
    np.testing.assert_allclose(resampled(rows, 16), expected)


def test_labels_of_one_clip_are_compared_together(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    real = misfit._nearest_mean
    monkeypatch.setattr(misfit, "_nearest_mean", lambda apart: called.append(1) or real(apart))
    points = np.random.default_rng(0).normal(size=(200, 3))
    labels = np.r_[np.arange(150), np.arange(50)]
    fit = fit_of(points, labels, points, labels, np.arange(200))
    assert len(called) == 2, "once for labels of one clip, once for those of two"
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    np.testing.assert_allclose(fit.own[:50], np.diag(apart[:50, 150:]), atol=1e-9)


@given(values=st.lists(st.sampled_from([0.0, 1.0, 2.0, math.inf]), max_size=12), count=st.integers(1, 14))
def test_the_first_of_equal_distances_comes_first(values: list[float], count: int) -> None:
    distances = np.array(values)
    want = np.argsort(distances, kind="stable")[:count]
    assert misfit._first(distances, count).tolist() == want.tolist()
