"""Ready-made features: copied as they are, missing parts marked, bad files rejected with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from signloom.features.shards import FeatureShards
from workflow_scripts import import_features


def run(folder: Path, arrays: dict[str, np.ndarray], keep_low: bool = False) -> FeatureShards:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    paths = [str(folder / f"{name}.npy") for name in arrays]
    pd.DataFrame({"clip_id": list(arrays), "video_path": paths}).to_csv(folder / "shard.csv", index=False)
    quality = f'{{"quality": {{"motion_keep": 0, "motion_floor": 0, "keep_low": {str(keep_low).lower()}}}}}'
    outputs = {name: folder / f"out_{name}" for name in ("npy", "mask", "parquet")}
    argv = ["--input", f"shard={folder}/shard.csv", "--params", quality]
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
        "empty": "too_few_frames",
        "narrow": "unreadable",
        "infinite": "unreadable",
        "good": "",
    }
    assert index["length"].sum() == 48


def test_short_clips_can_be_kept_with_a_flag(tmp_path: Path) -> None:
    index = run(tmp_path, {"short": np.ones((3, 540), np.float32)}, keep_low=True).index
    assert index.loc[0, ["status", "quality_flag", "length"]].tolist() == ["ok", "too_few_frames", 3]


def test_an_empty_shard_is_written(tmp_path: Path) -> None:
    assert len(run(tmp_path, {}).index) == 0
