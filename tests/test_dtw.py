"""Warping of frame sequences against a plain table, with the library and without."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.inference.dtw import banded, dtw_score, unit_rows


def plain(a: np.ndarray, b: np.ndarray, window: int) -> float:
    """The smallest sum of squared distances, cell by cell."""
    rows, columns = len(a), len(b)
    table = np.full((rows + 1, columns + 1), math.inf)
    table[0, 0] = 0
    for i in range(rows):
        for j in range(columns):
            if i - max(0, rows - columns) - window < j < i + max(0, columns - rows) + window:
                step = min(table[i, j], table[i, j + 1], table[i + 1, j])
                table[i + 1, j + 1] = ((a[i] - b[j]) ** 2).sum() + step
    return float(table[rows, columns])


def sequences(seed: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 3)), rng.normal(size=(columns, 3))


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 25), columns=st.integers(1, 25))
def test_the_score_is_what_a_plain_table_gives(seed: int, rows: int, columns: int) -> None:
    a, b = sequences(seed, rows, columns)
    squared = plain(unit_rows(a), unit_rows(b), math.ceil(0.1 * max(rows, columns)))
    assert dtw_score(a, b) == pytest.approx(1 - squared / (2 * (rows + columns)), abs=1e-9)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 15),
    columns=st.integers(1, 15),
    window=st.integers(1, 16),
)
def test_the_table_by_diagonals_is_the_plain_one_within_every_band(
    seed: int, rows: int, columns: int, window: int
) -> None:
    a, b = sequences(seed, rows, columns)
    assert banded(a, b, window) == pytest.approx(plain(a, b, window), rel=1e-9, abs=1e-9)


def test_a_band_of_one_is_the_diagonal_however_alike_its_neighbours_are() -> None:
    a, _ = sequences(3, 12, 1)
    late = np.roll(a, 1, axis=0)
    for one, other in ((a, late), (late, a)):
        assert banded(one, other, 1) == pytest.approx(((one - other) ** 2).sum())


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 1), (57, 75), (128, 120)])
def test_scores_are_the_same_without_the_library(
    monkeypatch: pytest.MonkeyPatch, rows: int, columns: int
) -> None:
    a, b = (frames.astype(np.float16) for frames in sequences(0, rows, columns))
    with_it = dtw_score(a, b)
    monkeypatch.setitem(sys.modules, "dtaidistance", None)
    assert dtw_score(a, b) == pytest.approx(with_it, abs=1e-9)


def test_equal_directions_score_1_and_opposite_ones_0() -> None:
    a, _ = sequences(1, 40, 1)
    assert dtw_score(a, 3 * a) == pytest.approx(1)
    same = np.ones((40, 3))
    assert dtw_score(same, -same) == pytest.approx(0)


def test_a_slower_sequence_is_more_alike_than_a_reversed_one() -> None:
    turn = np.linspace(0, 3, 60)
    a = np.stack([np.cos(turn), np.sin(turn)], 1)
    slower = np.repeat(a, 2, axis=0)[5:]
    assert dtw_score(a, slower) > 0.99
    assert dtw_score(a, a[::-1]) < 0.8


def test_a_frame_of_zeros_is_compared_and_no_frame_is_refused() -> None:
    assert dtw_score(np.zeros((3, 2)), np.ones((3, 2))) == pytest.approx(1 - 3 / 12)
    with pytest.raises(ValueError, match="without frames"):
        dtw_score(np.ones((0, 2)), np.ones((3, 2)))
