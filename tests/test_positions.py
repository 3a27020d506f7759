"""Hand and nose positions as features, against slow plain formulas, for every length."""

from __future__ import annotations

import math
import statistics
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from signloom.errors import SignloomError
from signloom.features.pose.position_features import (
    COLUMNS,
    accelerations,
    position_features,
    presence,
    read_points,
    stack_frames,
    standardise,
    velocities,
    width_of,
)
from signloom.params.features import Group

ALL: list[Group] = [
    *("hands", "nose", "hands_clip", "nose_clip", "between", "velocity", "acceleration", "speed"),
]
PIXELS = st.floats(1, 300, allow_nan=False)
CLIPS = st.sampled_from([0, 1, 3, 20]).flatmap(
    lambda length: arrays(np.float64, (length, 3, 2), elements=PIXELS)
)


def slow_features(points: np.ndarray, span: int) -> list[list[float]]:
    """The same columns, frame by frame, in plain Python."""
    rows = [[p[0] - n[0], p[1] - n[1], q[0] - n[0], q[1] - n[1], *n] for p, q, n in points.tolist()]
    columns = list(zip(*rows, strict=True))
    mean = [statistics.fmean(column) for column in columns]
    spread = [max(1.0, statistics.pstdev(column)) for column in columns]
    middle = [statistics.median(column) for column in columns]
    made = []
    for t, row in enumerate(rows):
        a, b = max(t - span, 0), min(t + span, len(rows) - 1)
        v = [(rows[b][i] - rows[a][i]) / (b - a) if b > a else 0.0 for i in range(6)]
        made.append(
            [
                *row,
                *((row[i] - mean[i]) / spread[i] for i in range(4)),
                *(row[i] - middle[i] for i in (4, 5)),
                *(row[0] - row[2], row[1] - row[3]),
                *v,
                *((rows[b][i] - 2 * row[i] + rows[a][i]) / span**2 for i in range(6)),
                *(math.hypot(v[0], v[1]), math.hypot(v[2], v[3])),
            ]
        )
    return made


@settings(max_examples=30)
@given(CLIPS, st.integers(1, 5))
def test_every_column_is_what_the_slow_formula_gives(points: np.ndarray, span: int) -> None:
    found = position_features(points, ALL, span)
    assert found.shape == (len(points), width_of(ALL))
    if len(points):
        np.testing.assert_allclose(found, slow_features(points, span), atol=1e-9)


@settings(max_examples=30)
@given(CLIPS, st.permutations(ALL), st.integers(1, 8))
def test_groups_stand_in_the_order_asked_for(points: np.ndarray, order: list[Group], count: int) -> None:
    parts = [position_features(points, [group], 2) for group in order[:count]]
    np.testing.assert_array_equal(position_features(points, order[:count], 2), np.concatenate(parts, axis=1))
    assert [part.shape[1] for part in parts] == [width_of([group]) for group in order[:count]]


@settings(max_examples=30)
@given(CLIPS, st.floats(-100, 100), st.floats(-100, 100))
def test_only_the_place_of_the_nose_depends_on_where_the_camera_looks(
    points: np.ndarray, right: float, down: float
) -> None:
    still = [group for group in ALL if group != "nose"]
    moved = position_features(points + np.array([right, down]), still, 2)
    np.testing.assert_allclose(moved, position_features(points, still, 2), atol=1e-6)


def test_a_straight_movement_has_its_speed_everywhere_and_only_others_an_acceleration_inside() -> None:
    x = np.outer(np.arange(9.0), [3.0, -1.0])
    np.testing.assert_allclose(velocities(x, 2), np.tile([3.0, -1.0], (9, 1)))
    np.testing.assert_allclose(accelerations(x, 2)[2:-2], 0)
    np.testing.assert_allclose(accelerations(x**2, 2)[2:-2], np.tile([18.0, 2.0], (5, 1)))
    assert velocities(x[:1], 2).tolist() == [[0, 0]]


def test_a_resting_hand_is_not_blown_up() -> None:
    rest = np.full((10, 1), 100.0)
    rest[3] = 101
    assert np.abs(standardise(rest)).max() < 1


def test_missing_points_are_missing_in_what_is_made_of_them_and_nowhere_else() -> None:
    cells = np.full((7, 6), 50.0)
    cells[1, 0] = np.nan  # left hand: no x
    cells[2, 2:4] = 0  # right hand: both 0
    cells[3, 5] = -1  # nose: no y
    cells[4, 2] = 0  # right hand at the left edge: a place
    points = read_points(COLUMNS, cells)
    mask = presence(points)
    assert mask[:, 0].tolist() == [1, 1, 1, 0, 1, 1, 1]
    assert mask[:, 1].tolist() == [1, 0, 1, 1, 1, 1, 1]
    assert mask[:, 2].tolist() == [1, 1, 0, 1, 1, 1, 1]
    assert not mask[:, 3].any()
    made = position_features(points, ["hands", "nose", "between"], 1)
    lost = [[t for t in range(7) if math.isnan(made[t, column])] for column in range(8)]
    assert lost == [[1, 3], [1, 3], [2, 3], [2, 3], [3], [3], [1, 2, 3], [1, 2, 3]]
    # a mean over the clip is one of the frames that are there
    assert np.isfinite(position_features(points, ["hands_clip", "nose_clip"], 1)[[0, 4, 5, 6]]).all()


def test_a_clip_in_which_a_point_never_shows_has_nan_and_says_nothing() -> None:
    points = np.full((5, 3, 2), 20.0)
    points[:, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = position_features(points, ALL, 2)
    assert np.isnan(made[:, :2]).all() and np.isfinite(made[:, 2:6]).all()


def test_columns_are_found_by_name_whatever_their_order() -> None:
    values = np.arange(1.0, 15).reshape(2, 7)
    names = ["nose-y", "other", "left-x", "left-y", "right-x", "right-y", "nose-x"]
    assert read_points(names, values)[0].tolist() == [[3, 4], [5, 6], [7, 1]]
    with pytest.raises(SignloomError, match=r"column 'nose-x' is missing; the table has: nose-y, other"):
        read_points(names[:-1], values[:, :-1])


@settings(max_examples=30)
@given(st.integers(0, 12), st.integers(1, 6), st.integers(1, 4))
def test_stacked_rows_hold_their_neighbours_and_repeat_the_ends(length: int, count: int, every: int) -> None:
    x = np.arange(2.0 * length).reshape(length, 2)
    rows = [
        [
            x[min(max(t + step, 0), length - 1), c]
            for step in range(-(count // 2), count - count // 2)
            for c in (0, 1)
        ]
        for t in range(0, length, every)
    ]
    found = stack_frames(x, count, every)
    assert found.shape == (-(-length // every), 2 * count)
    assert found.tolist() == rows
