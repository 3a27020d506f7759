"""Ready-made features: copied as they are, missing parts marked, bad files rejected with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from demo_params import params_json

from signloom.features.pose.position_features import COLUMNS, position_features
from signloom.features.shards import FeatureShards
from workflow_scripts import import_features


def run(folder: Path, arrays: dict[str, np.ndarray], keep_low: bool = False) -> FeatureShards:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    paths = [str(folder / f"{name}.npy") for name in arrays]
    write_list(folder, list(arrays), paths)
    return run_stage(folder, {"keep_low": keep_low})


def write_list(folder: Path, ids: list[str], paths: list[Any], **cut: Any) -> None:
    """Write the shard list of clips, which are cut at `start_s` and `end_s` if they are given."""
    table = pd.DataFrame({"clip_id": ids, "video_path": paths} | {"start_s": "", "end_s": ""} | cut)
    table.to_csv(folder / "shard.csv", index=False)


def run_stage(
    folder: Path,
    quality: dict[str, Any],
    positions: dict[str, Any] | None = None,
    fps: float = 25.0,
    frame_rate: float | None = None,
) -> FeatureShards:
    """Run the stage on `folder/shard.csv`."""
    params = {"quality": {"min_seconds": 1.92} | quality, "positions": positions or {}, "pose": {"fps": fps}}
    params["dataset"] = {"frame_rate": frame_rate}
    outputs = {name: folder / f"out_{name}" for name in ("npy", "mask", "parquet")}
    argv = ["--input", f"shard={folder}/shard.csv", "--params", params_json(params)]
    argv += ["--output", *(f"{name}={path}" for name, path in outputs.items())]
    assert import_features.main(argv) == 0
    return FeatureShards([outputs["npy"]], [outputs["parquet"]], [outputs["mask"]])


def test_features_pass_through_and_a_part_of_zeros_is_missing(tmp_path: Path) -> None:
    clip = np.random.default_rng(0).normal(size=(60, 540)).astype(np.float32)
    clip[10:20, 132:195] = 0
    shards = run(tmp_path, {"a": clip})
    assert np.array_equal(shards.mask("a")[:, 1], np.r_[np.ones(10), np.zeros(10), np.ones(40)])
    assert np.isnan(shards.clip("a")[10:20, 132:195]).all()
    rest = np.delete(shards.clip("a"), np.s_[132:195], axis=1)
    assert np.array_equal(rest, np.delete(clip, np.s_[132:195], axis=1))


def test_bad_files_are_rejected_with_their_reason(tmp_path: Path) -> None:
    clips = {
        "short": np.ones((47, 540), np.float32),
        "empty": np.ones((0, 540), np.float32),
        "narrow": np.ones((60, 500), np.float32),
        "infinite": np.full((60, 540), np.inf, np.float32),
        "good": np.ones((48, 540), np.float32),
    }
    index = run(tmp_path, clips).index.set_index("clip_id")
    assert index["reason"].to_dict() == {
        "short": "too_few_frames",
        "empty": "unreadable",
        "narrow": "unreadable",
        "infinite": "unreadable",
        "good": "",
    }
    assert index["length"].sum() == 48


def test_short_clips_can_be_kept_with_a_flag(tmp_path: Path) -> None:
    index = run(tmp_path, {"short": np.ones((3, 540), np.float32)}, keep_low=True).index
    assert index.loc[0, ["status", "quality_flag", "length"]].tolist() == ["ok", "too_few_frames", 3]


def test_arrays_have_the_rate_of_pose_features(tmp_path: Path) -> None:
    run(tmp_path, {"a": np.random.default_rng(0).normal(size=(30, 540)).astype(np.float32)})
    slow, fast = (run_stage(tmp_path, {"min_seconds": 2.0}, fps=fps).index.loc[0] for fps in (12.5, 25.0))
    assert (slow["reason"], fast["reason"]) == ("", "too_few_frames")
    assert (slow["kept_seconds"], fast["kept_seconds"]) == (2.4, 1.2)
    assert fast["motion_mean"] == 2 * slow["motion_mean"]
    assert slow["time_s"][-1] == 29 / 12.5


def test_an_empty_shard_is_written(tmp_path: Path) -> None:
    assert len(run(tmp_path, {}).index) == 0


def write_table(folder: Path, clips: dict[str, int]) -> list[Path]:
    """Write a table of positions with clips of so many frames, and the shard list of them."""
    rng = np.random.default_rng(1)
    rows = [
        [key, frame, *rng.integers(20, 250, 6)]
        for key, length in clips.items()
        for frame in range(5, 5 + length)
    ]
    pd.DataFrame(rows, columns=["video", "frame", *COLUMNS]).to_csv(folder / "hands.csv", index=False)
    paths = [folder / f"hands.csv#{key}" for key in clips]
    write_list(folder, [f"hands/{key}" for key in clips], paths)
    return paths


def test_clips_of_a_table_become_rows_of_the_groups_asked_for(tmp_path: Path) -> None:
    write_table(tmp_path, {"a": 9, "b": 1})
    shards = run_stage(tmp_path, {"min_seconds": 0.0}, {"groups": ["hands", "velocity"]}, frame_rate=30.0)
    table = pd.read_csv(tmp_path / "hands.csv")
    points = table.loc[table["video"] == "a", COLUMNS].to_numpy(np.float64).reshape(-1, 3, 2)
    expected = position_features(points, ["hands", "velocity"], 2).astype(np.float32)
    np.testing.assert_array_equal(shards.clip("hands/a"), expected)
    assert shards.mask("hands/a").tolist() == [[1, 1, 1, 0]] * 9
    clip = shards.index.iloc[0]
    assert clip["frame_index"].tolist() == list(range(5, 14))
    np.testing.assert_allclose(clip["time_s"], np.arange(9) / 30)
    assert clip[["fps", "dim", "length", "total_frames", "status"]].tolist() == [30, 10, 9, 9, "ok"]
    assert shards.index["motion_mean"].isna().all() and shards.index["mean_visibility"].isna().all()
    assert shards.clip("hands/b").shape == (1, 10)


def test_a_clip_of_a_table_that_cannot_be_used_is_rejected_with_its_reason(tmp_path: Path) -> None:
    write_table(tmp_path, {"a": 9, "b": 3, "c": 0})
    index = run_stage(tmp_path, {"min_seconds": 0.13}, {"groups": ["hands"]}, frame_rate=30.0).index
    assert index["reason"].tolist() == ["", "too_few_frames", "unreadable"]
    assert index["detail"][2] == f"{tmp_path}/hands.csv: no row has 'c' in column `video`"


def test_without_groups_the_columns_of_a_table_are_the_rows(tmp_path: Path) -> None:
    rows = "a,7,1,2,3\na,8,,,\na,9,0,0,0\nb,0,4,,6\n"
    (tmp_path / "t.csv").write_text("video,frame,x,y,z\n" + rows)
    write_list(tmp_path, ["t/a", "t/b"], [tmp_path / "t.csv#a", tmp_path / "t.csv#b"])
    shards = run_stage(tmp_path, {"min_seconds": 0.0}, frame_rate=30.0)
    np.testing.assert_array_equal(shards.clip("t/a"), [[1, 2, 3], [np.nan] * 3, [np.nan] * 3])
    assert shards.mask("t/a").tolist() == [[1] * 4, [0] * 4, [0] * 4]
    assert shards.index.loc[0, "frame_index"].tolist() == [7, 8, 9]
    assert shards.index["detail"][1] == "row 1 has 1 NaN among 3 values"


def test_start_and_end_cut_rows_at_their_rate(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(1, 31, dtype=np.float32)[:, None])
    write_list(
        tmp_path, ["a", "b", "c"], [tmp_path / "a.npy"] * 3, start_s=[0.5, "", 9], end_s=[1.0, 0.3, ""]
    )
    shards = run_stage(tmp_path, {"min_seconds": 0.0}, frame_rate=10.0)
    assert shards.clip("a")[:, 0].tolist() == [6, 7, 8, 9, 10] and shards.clip("b")[:, 0].tolist() == [
        1,
        2,
        3,
    ]
    assert shards.index["detail"][2] == "no row from 90 on; the file has 30"


def test_columns_measured_over_a_clip_do_not_depend_on_the_rest_of_its_file(tmp_path: Path) -> None:
    write_table(tmp_path, {"both": 60})
    table = pd.read_csv(tmp_path / "hands.csv")
    table.loc[table.index[30:], COLUMNS[0]] += 500  # somebody else
    last = table.iloc[30:].assign(video="last")
    pd.concat([table, last]).to_csv(tmp_path / "hands.csv", index=False)
    paths = [tmp_path / "hands.csv#both", tmp_path / "hands.csv#last"]
    write_list(tmp_path, ["cut", "own"], paths, start_s=[1.0, ""])
    groups = {"groups": ["hands", "hands_clip", "velocity"]}
    shards = run_stage(tmp_path, {"min_seconds": 0.0}, groups, frame_rate=30.0)
    np.testing.assert_array_equal(shards.clip("cut"), shards.clip("own"))
    assert shards.index.loc[0, "frame_index"].tolist() == list(range(35, 65))


def test_a_broken_row_rejects_the_clips_that_have_it_alone(tmp_path: Path) -> None:
    rows = np.ones((30, 4), np.float32)
    rows[20, 1] = np.nan
    np.save(tmp_path / "a.npy", rows)
    write_list(tmp_path, ["a", "b"], [tmp_path / "a.npy"] * 2, start_s=["", 1.0], end_s=[1.0, ""])
    index = run_stage(tmp_path, {"min_seconds": 0.0}, frame_rate=10.0).index
    assert index["detail"].tolist() == ["", "row 21 has 1 NaN among 4 values"]


def test_groups_need_a_table_of_positions(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((60, 540), np.float32))
    write_list(tmp_path, ["a"], [tmp_path / "a.npy"])
    index = run_stage(tmp_path, {"min_seconds": 0.0}, {"groups": ["hands"]}).index
    assert "expected a clip of a table, such as hands.csv#98" in index["detail"][0]


def test_an_empty_shard_has_the_width_and_columns_of_the_others(tmp_path: Path) -> None:
    write_table(tmp_path, {"a": 9})
    columns = list(run_stage(tmp_path, {"min_seconds": 0.0}, {"groups": ["hands", "nose"]}).index)
    write_table(tmp_path, {})
    shards = run_stage(tmp_path, {"min_seconds": 0.0}, {"groups": ["hands", "nose"]})
    assert np.load(tmp_path / "out_npy").shape == (0, 6)
    assert list(shards.index) == columns
