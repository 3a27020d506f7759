"""Feature rows that hold points: columns relative to a body, and how they are augmented."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import section
from hypothesis import given
from hypothesis import strategies as st

from signloom.augment.feature_rows import Geometry, augment_rows
from signloom.errors import SignloomError
from signloom.features.pose.imported import source_of, write_ready_shard
from signloom.features.pose.point_columns import point_columns
from signloom.params.features import ColumnLayout, GateParams, PositionsParams
from signloom.params.sign2text import AugmentParams


def points(**columns: list[int]) -> list[dict[str, object]]:
    return [{"name": name, "columns": numbers} for name, numbers in columns.items()]


BODY = {
    "points": points(neck=[3, 4, 5], hip=[6, 7, 8], hand=[0, 1, 2]),
    "centre": "neck",
    "lengths": [["neck", "hip"]],
    "bones": [["hand", "hip"]],
    "others": [9],
    "span": 1,
}


def rows(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 10))


@given(st.integers(0, 6))
def test_columns_are_relative_to_the_centre_in_units_of_the_body(frames: int) -> None:
    x = rows(frames)
    made = point_columns(x, section(PositionsParams, **BODY))
    assert made.shape == (frames, 2 * 9 + 2)
    spans = [math.dist(row[3:6], row[6:9]) for row in x]
    for t, row in enumerate(x):
        size = float(np.median(spans))
        hip, hand = (row[6:9] - row[3:6]) / size, (row[0:3] - row[3:6]) / size
        np.testing.assert_allclose(made[t, :9], [*hip, *hand, *(hip - hand)])
        before, after = max(t - 1, 0), min(t + 1, frames - 1)
        np.testing.assert_allclose(
            made[t, 9:18], (made[after, :9] - made[before, :9]) / max(after - before, 1)
        )
        assert made[t, 18] == row[9]


def test_a_signer_who_is_larger_or_stands_elsewhere_gives_the_same_columns() -> None:
    x, p = rows(5), section(PositionsParams, **(BODY | {"others": []}))
    moved = x.copy()
    moved[:, :9] = 1.7 * moved[:, :9] + np.tile([3.0, -1.0, 2.0], 3)
    np.testing.assert_allclose(point_columns(moved, p), point_columns(x, p), atol=1e-9)


def test_without_centre_and_lengths_positions_stay_as_they_are() -> None:
    p = section(PositionsParams, points=points(hand=[0, 1]), span=1)
    np.testing.assert_array_equal(point_columns(rows(3), p)[:, :2], rows(3)[:, :2])
    assert p.layout == (4, 2, (0,))


@pytest.mark.parametrize(
    ("x", "changes", "message"),
    [
        (rows(3)[:, :9], {}, r"column 9 is missing; the rows have 9, from 0"),
        (np.zeros((3, 10)), {}, r"lengths: the body has no size; all of neck to hip are 0"),
    ],
)
def test_rows_that_do_not_fit_the_points_are_a_clear_error(
    x: np.ndarray, changes: dict, message: str
) -> None:
    with pytest.raises(SignloomError, match=message):
        point_columns(x, section(PositionsParams, **(BODY | changes)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"centre": "head"}, "'head' is not the name of a point; expected one of neck, hip, hand"),
        ({"bones": [["hand", "knee"]]}, "'knee' is not the name of a point"),
        ({"points": 2 * points(neck=[3, 4, 5], hip=[6, 7, 8], hand=[0, 1, 2])}, "a name occurs twice"),
        ({"groups": ["hands"]}, r"groups: expected \[\] beside points"),
        ({"points": points(neck=[0, 1], hip=[2, 3, 4], hand=[5, 6])}, "some have two columns"),
        (
            {"points": [], "centre": None, "lengths": [], "bones": [], "others": [], "every": 2},
            "every: it needs points or others",
        ),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        section(PositionsParams, **(BODY | changes))


def write(folder: Path, clips: dict[str, np.ndarray], **changes: object) -> pd.DataFrame:
    for name, values in clips.items():
        np.save(folder / f"{name}.npy", values.astype(np.float32))
    listed = [
        {"clip_id": name, "video_path": str(folder / f"{name}.npy"), "start_s": None, "end_s": None}
        for name in clips
    ]
    outputs = (folder / "features.npy", folder / "features.mask.npy", folder / "features.parquet")
    positions = section(PositionsParams, **(BODY | changes))
    write_ready_shard(listed, outputs, section(GateParams, min_seconds=0.0), positions, 30.0)
    return pd.read_parquet(outputs[2]).set_index("clip_id")


def test_a_shard_of_points_takes_every_second_row_and_says_its_rate(tmp_path: Path) -> None:
    lost = rows(7, 1)
    lost[2] = 0.0
    index = write(tmp_path, {"a": rows(6), "b": lost, "c": np.ones((4, 8))}, every=2)
    assert index["length"].to_dict() == {"a": 3, "b": 4, "c": 0}
    assert index.loc["a", "fps"] == 15.0 and index.loc["a", "time_s"].tolist() == pytest.approx(
        [0, 1 / 15, 2 / 15]
    )
    assert "column 9 is missing" in index.loc["c", "detail"]
    features, mask = np.load(tmp_path / "features.npy"), np.load(tmp_path / "features.mask.npy")
    expected = point_columns(rows(6).astype(np.float32)[::2].astype(float), section(PositionsParams, **BODY))
    np.testing.assert_allclose(features[:3], expected, rtol=1e-5)
    assert mask[3:].tolist() == [[1] * 4, [0] * 4, [1] * 4, [1] * 4] and np.isnan(features[4]).all()


def test_a_body_is_measured_in_the_rows_of_its_own_clip(tmp_path: Path) -> None:
    np.save(tmp_path / "both.npy", np.concatenate([9 * rows(20, 1), rows(12)]).astype(np.float32))
    np.save(tmp_path / "own.npy", rows(12).astype(np.float32))
    given = section(PositionsParams, **(BODY | {"every": 3}))
    cut, own = (
        source_of(given).clip({"video_path": str(tmp_path / name), "start_s": start, "end_s": None}, 10.0)
        for name, start in (("both.npy", 2.0), ("own.npy", None))
    )
    np.testing.assert_array_equal(cut.features, own.features)
    assert cut.frames.tolist() == [6, 7, 8, 9] and own.frames.tolist() == [0, 1, 2, 3]


def augmented(x: np.ndarray, geometry: Geometry, **on: float) -> np.ndarray:
    off = dict.fromkeys(AugmentParams.model_fields, 0.0) | {"shift": 0}
    params = AugmentParams.model_validate(off | on)
    mask = np.ones((len(x), 4), np.uint8)
    return augment_rows(x.astype(np.float32), mask, params, np.random.default_rng(3), geometry)[0]


def test_a_turn_keeps_heights_and_lengths_and_turns_velocities_with_positions() -> None:
    p = section(PositionsParams, **BODY)
    x = point_columns(rows(6), p)
    turned = augmented(x, Geometry(1.0, p.layout), rotation=40.0, rotation_p=1.0)
    before, after = (part[:, : p.layout[0]].reshape(6, -1, 3) for part in (x, turned))
    np.testing.assert_allclose(after[..., 1], before[..., 1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(after, axis=2), np.linalg.norm(before, axis=2), rtol=1e-5)
    assert not np.allclose(after[..., 0], before[..., 0])
    np.testing.assert_allclose(turned[2, 9:18], (turned[3, :9] - turned[1, :9]) / 2, atol=1e-5)
    np.testing.assert_array_equal(turned[:, 18:], x[:, 18:].astype(np.float32))


def test_a_stretched_body_changes_each_axis_by_one_factor_and_leaves_other_columns() -> None:
    p = section(PositionsParams, **BODY)
    x = point_columns(rows(6), p)
    factors = augmented(x, Geometry(1.0, p.layout), body=0.2, body_p=1.0)[:, :18].reshape(-1, 3) / x[
        :, :18
    ].reshape(-1, 3)
    np.testing.assert_allclose(factors, np.broadcast_to(factors[0], factors.shape), rtol=1e-3)
    assert (np.abs(factors[0] - 1) < 0.2).all() and len(set(factors[0].round(4))) == 3


def test_other_columns_alone_get_their_velocities() -> None:
    p = section(PositionsParams, others=[9, 2], span=1)
    made = point_columns(rows(4), p)
    np.testing.assert_array_equal(made[:, :2], rows(4)[:, [9, 2]])
    np.testing.assert_allclose(made[1, 2:], (rows(4)[2, [9, 2]] - rows(4)[0, [9, 2]]) / 2)
    assert p.layout == (0, 0, (2,)) and p.width == 4


def test_another_signer_has_another_zero_and_range_of_each_column_and_the_velocities_follow() -> None:
    p = section(PositionsParams, **(BODY | {"others": [9, 2, 5]}))
    x = point_columns(rows(6), p)
    changed = augmented(x, Geometry(np.full(24, 2.0, np.float32), p.layout), body=0.3, body_p=1.0)
    for column in (18, 19, 20):
        scale, offset = np.polyfit(x[:, column], changed[:, column], 1)
        np.testing.assert_allclose(changed[:, column], scale * x[:, column] + offset, atol=1e-5)
        np.testing.assert_allclose(changed[:, column + 3], scale * x[:, column + 3], atol=1e-5)
        assert abs(scale - 1) < 0.3 and offset != 0


def test_directions_in_units_of_a_signer_are_other_columns_each_with_its_velocity() -> None:
    p = section(PositionsParams, **(BODY | {"normalise_by": "signer"}))
    x = point_columns(rows(6), p)
    assert p.layout == (0, 3, (9, 1)) and p.width == 20
    changed = augmented(x, Geometry(1.0, p.layout), body=0.3, body_p=1.0, rotation=40.0, rotation_p=1.0)
    for column, velocity in ((0, 9), (8, 17), (18, 19)):
        scale, _ = np.polyfit(x[:, column], changed[:, column], 1)
        np.testing.assert_allclose(changed[:, velocity], scale * x[:, velocity], atol=1e-5)


def test_the_zero_moves_in_units_of_the_column() -> None:
    x, unit = np.zeros((2, 4)), np.array([1, 100, 1, 1], np.float32)
    moved = augmented(x, Geometry(unit, ColumnLayout(others=(2,))), body=0.2, body_p=1.0)
    alike = augmented(x, Geometry(1.0, ColumnLayout(others=(2,))), body=0.2, body_p=1.0)
    np.testing.assert_allclose(moved, alike * unit, rtol=1e-6)


def test_flat_points_are_stretched_and_never_turned() -> None:
    x, flat = rows(5)[:, :4], Geometry(1.0, ColumnLayout(4, 2))
    np.testing.assert_array_equal(augmented(x, flat, rotation=40.0, rotation_p=1.0), x.astype(np.float32))
    assert not np.allclose(augmented(x, flat, body=0.2, body_p=1.0), x)


def test_a_part_that_no_point_uses_may_be_missing(tmp_path: Path) -> None:
    x = rows(5)
    x[1:3, 9], x[4, 0] = np.nan, np.nan
    made = point_columns(x, section(PositionsParams, **(BODY | {"others": []})))
    assert np.isfinite(made[:4]).all() and np.isnan(made[4]).all()
