"""Raw landmarks become one body in one space, at even times, with what is missing kept missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json, section
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.features.pose.layout import FEATURE_PARTS, RAW_PARTS
from signloom.features.pose.pose_features import (
    PoseFeatures,
    RawClip,
    body_sizes,
    keep_frames,
    landmarks_to_features,
    normalise,
    one_space,
    smoothed,
)
from signloom.features.shards import FeatureShards, append_npy
from signloom.params.features import PoseParams, QualityParams
from tests.bodies import as_tracked, moving_body
from workflow_scripts import pose_features

OPEN = section(QualityParams, motion_keep=0.0, motion_floor=0.0, min_seconds=0.0, min_detection=0.0)
GATES = section(QualityParams, motion_keep=0.5, motion_floor=0.3, min_seconds=1.92)
SMOOTH = section(PoseParams, fps=25.0, max_gap=5, smoothing=0.2)
PLAIN = section(PoseParams, fps=25.0, max_gap=5, smoothing=1.0)


def turned(body: dict[str, np.ndarray], degrees: float) -> dict[str, np.ndarray]:
    """The body turned about the vertical axis."""
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    return {part: points @ turn for part, points in body.items()}


def points_of(found: PoseFeatures, part: str) -> np.ndarray:
    """Points (T, n, 3) of a part of the features."""
    columns = found.features[:, FEATURE_PARTS[part]]
    return columns.reshape(len(columns), -1, 4 if part == "pose" else 3)[..., :3].astype(np.float64)


EVEN = np.arange(60) / 25


def test_the_540_columns_are_the_body_in_torso_units() -> None:
    body = moving_body(EVEN)
    found = landmarks_to_features(as_tracked(body, EVEN), PLAIN, OPEN)
    centre = body["pose"][:, [11, 12, 23, 24]].mean(axis=1, keepdims=True)
    # shoulders 0.4, hips 0.24, torso 0.5: the median is the shoulder width
    for part in FEATURE_PARTS:
        true = body[part][:, ::5] if part == "face" else body[part]
        np.testing.assert_allclose(points_of(found, part), (true - centre) / 0.4, atol=2e-5)
    np.testing.assert_allclose(found.features[:, 3:132:4], 0.9, atol=1e-6)
    assert found.mask.all()
    assert found.features.shape == (60, 540)


@pytest.mark.parametrize("degrees", [-15, 15])
def test_a_body_that_turns_keeps_its_hands_at_its_wrists(degrees: float) -> None:
    body = moving_body(EVEN)
    straight = landmarks_to_features(as_tracked(body, EVEN), PLAIN, OPEN)
    found = landmarks_to_features(as_tracked(turned(body, degrees), EVEN), PLAIN, OPEN)
    for part, wrist in (("left_hand", 15), ("right_hand", 16)):
        np.testing.assert_allclose(
            points_of(found, part)[:, 0], points_of(found, "pose")[:, wrist], atol=1e-5
        )
    # the features turn with the body, but for the foreshortened shoulders that scale them
    shrunk = np.cos(np.radians(degrees))
    expected = turned({part: points_of(straight, part) for part in FEATURE_PARTS}, degrees)
    for part in FEATURE_PARTS:
        np.testing.assert_allclose(points_of(found, part) * shrunk, expected[part], atol=5e-5)


def test_position_distance_and_shape_of_the_picture_do_not_matter() -> None:
    body = moving_body(EVEN)
    near = landmarks_to_features(as_tracked(body, EVEN), PLAIN, OPEN)
    far = landmarks_to_features(as_tracked(body, EVEN, 1080, 1920, 150.0, (700.0, 900.0)), PLAIN, OPEN)
    np.testing.assert_allclose(near.features, far.features, atol=2e-4)
    assert near.diagnostics["motion_mean"] == pytest.approx(far.diagnostics["motion_mean"], rel=1e-3)


def test_the_frame_rate_of_the_camera_does_not_matter() -> None:
    uneven = np.sort(np.random.default_rng(1).uniform(0, 2.4, 150))
    uneven[[0, -1]] = 0, 2.4
    straight = landmarks_to_features(as_tracked(moving_body(EVEN), EVEN), PLAIN, OPEN)
    for times in (np.arange(73) / 30, np.arange(145) / 60, uneven):
        other = landmarks_to_features(as_tracked(moving_body(times), times), PLAIN, OPEN)
        n = min(len(straight.features), len(other.features))
        assert n >= 59
        np.testing.assert_allclose(straight.features[:n], other.features[:n], atol=0.01)
        assert other.diagnostics["motion_mean"] == pytest.approx(
            straight.diagnostics["motion_mean"], rel=0.02
        )


def test_rows_name_their_nearest_source_frame() -> None:
    times = np.arange(30) / 30
    found = landmarks_to_features(as_tracked(moving_body(times), times), PLAIN, OPEN)
    np.testing.assert_array_equal(found.frame_index, np.rint(np.arange(25) * 30 / 25 - 1e-9))
    np.testing.assert_allclose(found.time_s, np.arange(25) / 25)


@pytest.mark.parametrize(("missing", "filled"), [(5, True), (6, False)])
def test_gaps_up_to_max_gap_are_filled_and_longer_ones_stay_missing(missing: int, filled: bool) -> None:
    raw = as_tracked(moving_body(EVEN), EVEN)
    raw.rows[20 : 20 + missing, RAW_PARTS["right_hand"]] = np.nan
    found = landmarks_to_features(raw, SMOOTH, OPEN)
    assert found.mask[20 : 20 + missing, 2].all() == filled
    assert found.mask[20 : 20 + missing, 2].any() == filled
    hand = found.features[:, FEATURE_PARTS["right_hand"]]
    assert np.isfinite(hand).all(axis=1).tolist() == (found.mask[:, 2] == 1).tolist()
    assert np.isnan(hand[20 : 20 + missing]).all() != filled


def test_smoothing_is_the_moving_average_and_starts_anew_after_a_gap() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(40, 21, 3))
    values[10:20] = np.nan
    # 30 frames were dropped before row 30, two before row 35
    frames = np.arange(40) + 30 * (np.arange(40) >= 30) + 2 * (np.arange(40) >= 35)
    expected = values.copy()
    for t in range(1, 40):
        if np.isfinite(expected[t - 1]).all() and t != 30:
            expected[t] = 0.2 * values[t] + 0.8 * expected[t - 1]
    np.testing.assert_allclose(smoothed(values, frames, 0.2, 5), expected, atol=1e-12)


@pytest.mark.parametrize(("later", "second"), [(6, 0.2), (7, 1.0)])
def test_smoothing_goes_on_over_max_gap_lost_frames_and_no_more(later: int, second: float) -> None:
    found = smoothed(np.array([[[0.0]], [[1.0]]]), np.array([0, later]), 0.2, 5)
    assert found.ravel().tolist() == [0.0, second]


def test_frames_are_kept_for_being_clear_or_for_moving_or_for_a_hand() -> None:
    body = {"pose": np.zeros((6, 33, 4)), "left_hand": np.full((6, 21, 3), np.nan)}
    body["right_hand"] = body["left_hand"].copy()
    body["pose"][:, :, 3] = np.array([0.55, 0.54, 0.54, 0.9, 0.1, 0.1])[:, None]
    body["pose"][3] = np.nan
    body["left_hand"][4], body["right_hand"][5] = 0.0, 0.0
    kept = keep_frames(body, np.array([np.nan, 0.6, 0.4, 9.0, 0.0, np.nan]), GATES)
    assert kept.tolist() == [True, True, False, False, True, True]


def test_legs_outside_the_picture_cost_no_frame_and_no_visibility() -> None:
    raw = as_tracked(moving_body(EVEN), EVEN)
    raw.rows[:, [*range(132, 258)]] = np.nan  # no hand helps
    raw.rows[:, 4 * 25 + 3 : 132 : 4] = 0.0
    still = GATES.model_copy(update={"motion_keep": 99.0, "min_visibility": 0.85})
    found = landmarks_to_features(raw, SMOOTH, still)
    assert len(found.features) == 60
    assert found.diagnostics["mean_visibility"] == pytest.approx(0.9)
    raw.rows[:, 3 : 4 * 25 : 4] = 0.8
    assert len(landmarks_to_features(raw, SMOOTH, still).features) == 0


def test_a_clip_loses_no_frame_between_two_that_show_a_hand() -> None:
    raw = as_tracked(moving_body(EVEN), EVEN)
    raw.rows[10:50:3, 3:132:4] = 0.0
    raw.rows[:5, 132:258] = np.nan
    raw.rows[:5, 3:132:4] = 0.0
    found = landmarks_to_features(raw, SMOOTH, GATES.model_copy(update={"motion_keep": 99.0}))
    assert found.frame_index.tolist() == list(range(5, 60))


@pytest.mark.parametrize(("fps", "seconds"), [(12.5, 1.0), (25.0, 1.0), (25.0, 1.4), (50.0, 0.6)])
def test_an_isolated_sign_passes_the_committed_gates_at_any_rate(fps: float, seconds: float) -> None:
    times = np.arange(round(seconds * 25)) / 25
    raw = as_tracked(moving_body(3 * times), times)
    pose = SMOOTH.model_copy(update={"fps": fps})
    assert landmarks_to_features(raw, pose, section(QualityParams)).verdict.reason == ""
    short = RawClip(raw.rows[:10], raw.times[:10], raw.frame_index[:10], raw.width, raw.height)
    verdict = landmarks_to_features(short, pose, section(QualityParams)).verdict
    assert verdict.reason == "too_few_frames"
    assert verdict.detail.endswith(" s kept, quality.min_seconds is 0.5")


def test_a_collapsed_skeleton_has_no_size_and_no_features() -> None:
    pose = np.ones((3, 33, 4))
    pose[1, 11, 0], pose[2, 11, 0] = 3.0, 1.00005
    sizes = body_sizes(pose)
    # the shoulders lie 2 apart, their middle 1 from the hips': the hips' own length of 0 does not count
    assert sizes[1] == pytest.approx(1.5)
    assert np.isnan(sizes[[0, 2]]).all()
    hands = np.zeros((3, 21, 3))
    body = {"pose": pose, "left_hand": hands, "right_hand": hands, "face": np.zeros((3, 94, 3))}
    assert np.isnan(normalise(body, "frame")["pose"][[0, 2]]).all()


def test_clip_scale_keeps_what_frame_scale_takes_away() -> None:
    body = moving_body(EVEN)
    body = {part: points * (1 + 0.2 * np.sin(EVEN))[:, None, None] for part, points in body.items()}
    raw = as_tracked(body, EVEN)
    shoulders = {}
    for scale in ("clip", "frame"):
        found = points_of(landmarks_to_features(raw, PLAIN.model_copy(update={"scale": scale}), OPEN), "pose")
        shoulders[scale] = np.linalg.norm(found[:, 11, :2] - found[:, 12, :2], axis=-1)
    np.testing.assert_allclose(shoulders["frame"], 1.0, atol=1e-5)
    assert np.median(shoulders["clip"]) == pytest.approx(1.0, abs=1e-3)
    assert np.ptp(shoulders["clip"]) > 0.1


def test_a_hand_without_its_wrist_has_no_place_in_depth_and_is_missing() -> None:
    raw = as_tracked(moving_body(EVEN), EVEN)
    raw.rows[5:40, RAW_PARTS["pose"]] = np.nan
    body = one_space(raw)
    assert np.isnan(body["right_hand"][5:40, :, 2]).all()
    found = landmarks_to_features(raw, PLAIN, OPEN)
    assert len(found.features) == 25
    assert np.isfinite(found.features).all()
    assert found.diagnostics["detection_ratio"] == 1.0


@settings(max_examples=60)
@given(
    count=st.sampled_from([0, 1, 2, 3, 7, 30]),
    seed=st.integers(0, 1000),
    absent=st.floats(0, 1),
    scale=st.sampled_from(["clip", "frame"]),
)
def test_any_clip_gives_rows_whose_mask_says_what_is_there(
    count: int, seed: int, absent: float, scale: str
) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.02, 0.08, count))
    raw = as_tracked(moving_body(times), times)
    for columns in RAW_PARTS.values():
        raw.rows[rng.random(count) < absent, columns] = np.nan
    found = landmarks_to_features(raw, SMOOTH.model_copy(update={"scale": scale}), OPEN)
    n = len(found.features)
    assert found.features.shape == (n, 540) and found.mask.shape == (n, 4)
    assert len(found.frame_index) == len(found.time_s) == n
    for number, columns in enumerate(FEATURE_PARTS.values()):
        finite = np.isfinite(found.features[:, columns])
        np.testing.assert_array_equal(finite.all(axis=1), found.mask[:, number] == 1)
        np.testing.assert_array_equal(finite.any(axis=1), found.mask[:, number] == 1)
    assert (np.diff(found.time_s) > 0).all()


@pytest.mark.parametrize("part", ["left_hand", "right_hand", "face"])
def test_a_missing_part_is_nowhere_and_changes_no_other(part: str) -> None:
    whole, lacking = (as_tracked(moving_body(EVEN), EVEN) for _ in range(2))
    lacking.rows[20:, RAW_PARTS[part]] = np.nan
    found, expected = (landmarks_to_features(raw, SMOOTH, OPEN) for raw in (lacking, whole))
    columns, number = FEATURE_PARTS[part], list(FEATURE_PARTS).index(part)
    assert np.isnan(found.features[20:, columns]).all(), "no place, such as the torso's centre turned round"
    assert found.mask[:, number].tolist() == [1] * 20 + [0] * 40
    others = np.delete(np.arange(540), np.arange(540)[columns])
    np.testing.assert_array_equal(found.features[:, others], expected.features[:, others])
    np.testing.assert_array_equal(found.features[:20, columns], expected.features[:20, columns])


def broken(reason: str) -> RawClip:
    """A clip that only the gate `reason` and those after it close on."""
    times = np.arange(47 if reason == "too_few_frames" else 100) / 25
    raw = as_tracked(moving_body(np.zeros(len(times)) if reason == "low_motion" else times), times)
    if reason == "no_person":
        raw.rows[:] = np.nan
    if reason == "low_detection":
        raw.rows[40:, :258] = np.nan
    return raw


@pytest.mark.parametrize("reason", ["no_person", "low_detection", "too_few_frames", "low_motion", ""])
def test_every_gate_closes_on_its_own_clip(reason: str) -> None:
    assert landmarks_to_features(broken(reason), SMOOTH, GATES).verdict.reason == reason


def test_a_clip_that_rests_long_before_signing_is_told_to_be_cut() -> None:
    times = np.arange(500) / 25
    resting = as_tracked(moving_body(np.maximum(times - 18, 0)), times)
    verdict = landmarks_to_features(resting, SMOOTH, GATES).verdict
    assert verdict.reason == "low_motion" and verdict.detail.endswith(
        "cut it to the signing with start_s and end_s"
    )
    assert "cut" not in landmarks_to_features(broken("low_motion"), SMOOTH, GATES).verdict.detail


def write_landmarks(folder: Path, clips: dict[str, RawClip | None]) -> tuple[Path, Path]:
    rows, npy, index = [], folder / "raw.npy", folder / "raw.parquet"
    with append_npy(npy, 1662, np.float32) as array:
        for clip_id, raw in clips.items():
            n = 0 if raw is None else len(raw.rows)
            row = {"clip_id": clip_id, "offset": array.rows, "length": n, "fps": 25.0, "width": 640}
            row |= {"height": 480, "frame_index": np.arange(n), "time_s": np.arange(n) / 25}
            status = ("rejected", "unreadable", "why", "") if raw is None else ("ok", "", "", "signloom")
            rows.append(row | dict(zip(("status", "reason", "detail", "tracker"), status, strict=True)))
            if raw is not None:
                array.append(raw.rows)
    pd.DataFrame(rows).to_parquet(index)
    return npy, index


def run_stage(folder: Path, clips: dict[str, RawClip | None], keep_low: bool = False) -> FeatureShards:
    npy, index = write_landmarks(folder, clips)
    outputs = {name: folder / f"0.{name}" for name in ("npy", "mask.npy", "parquet")}
    code = pose_features.main(
        ["--input", f"npy={npy}", f"parquet={index}", "--output"]
        + [f"{name.removesuffix('.npy') if name != 'npy' else name}={path}" for name, path in outputs.items()]
        + ["--params", params_json({"pose": dict(SMOOTH), "quality": dict(GATES) | {"keep_low": keep_low}})]
    )
    assert code == 0
    return FeatureShards([outputs["npy"]], [outputs["parquet"]], [outputs["mask.npy"]])


def all_kinds() -> dict[str, RawClip | None]:
    kinds = ("no_person", "low_detection", "too_few_frames", "low_motion", "")
    return {"unreadable": None} | {reason or "good": broken(reason) for reason in kinds}


def test_the_stage_keeps_good_clips_and_gives_every_other_its_reason(tmp_path: Path) -> None:
    shards = run_stage(tmp_path, all_kinds())
    table = shards.index.set_index("clip_id")
    assert table["reason"].to_dict() == {name: name if name != "good" else "" for name in all_kinds()}
    assert (table["status"] == np.where(table.index == "good", "ok", "rejected")).all()
    assert table.loc["good", ["length", "quality_flag", "total_frames"]].tolist() == [100, "ok", 100]
    assert (table.drop("good")["length"] == 0).all()
    assert table.loc["unreadable", ["detail", "tracker"]].tolist() == ["why", ""]
    assert (table.drop("unreadable")["tracker"] == "signloom").all()
    assert table.loc["low_motion", "detail"].startswith("mean motion 0.000 shoulder widths/s")
    good = all_kinds()["good"]
    assert good is not None
    expected = landmarks_to_features(good, SMOOTH, GATES)
    np.testing.assert_array_equal(shards.clip("good"), expected.features)
    np.testing.assert_array_equal(shards.mask("good"), expected.mask)
    assert list(table.loc["good", "frame_index"]) == list(range(100))


def test_keep_low_flags_what_would_be_rejected(tmp_path: Path) -> None:
    table = run_stage(tmp_path, all_kinds(), keep_low=True).index.set_index("clip_id")
    for reason in ("low_detection", "too_few_frames", "low_motion"):
        assert table.loc[reason, ["status", "reason", "quality_flag"]].tolist() == ["ok", "", reason]
        assert table.loc[reason, "length"] > 0
    for reason in ("unreadable", "no_person"):
        assert table.loc[reason, ["status", "reason", "length"]].tolist() == ["rejected", reason, 0]


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run_stage(tmp_path / name, all_kinds())
        files.append(
            [(tmp_path / name / f"0.{kind}").read_bytes() for kind in ("npy", "mask.npy", "parquet")]
        )
    assert files[0] == files[1]


def test_a_shard_of_rejects_alone_is_a_valid_shard(tmp_path: Path) -> None:
    shards = run_stage(tmp_path, {"unreadable": None})
    assert shards.length("unreadable") == 0
    assert shards.clip("unreadable").shape == (0, 540)
