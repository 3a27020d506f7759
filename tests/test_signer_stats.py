"""Stage signer_stats: clips of each signer are standardised by all clips of the same signer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from demo_params import params_json

from signloom.features.shards import FeatureShards
from signloom.features.signer_stats import SignerStats
from workflow_scripts import import_features, signer_stats

COLUMNS = [0, 1, 3]  # column 2 is not kept
PARAMS: dict[str, dict[str, Any]] = {
    "positions": {"others": COLUMNS, "span": 1, "normalise_by": "signer"},
    "quality": {"min_seconds": 0.0},
    "pose": {},
    "dataset": {"frame_rate": 25.0},
}


def made(
    folder: Path,
    clips: dict[str, np.ndarray | None],
    signers: dict[str, str | None],
    positions: dict[str, Any] = PARAMS["positions"],
    suffix: str = ".npy",
) -> int:
    """Run the stage on clips, of which None has no file; return its exit status."""
    for name, rows in clips.items():
        if rows is not None:
            np.save(folder / f"{name}.npy", rows.astype(np.float32))
    table = pd.DataFrame(
        {
            "clip_id": list(clips),
            "video_path": [str(folder / f"{name}{suffix}") for name in clips],
            "signer_id": [signers[name] for name in clips],
        }
    ).assign(start_s=np.nan, end_s=np.nan)
    table.to_parquet(folder / "manifest.parquet")
    table.to_csv(folder / "shard.csv", index=False)
    argv = ["--input", f"manifest={folder}/manifest.parquet", "--output", f"stats={folder}/stats.npz"]
    return signer_stats.main(
        [
            *argv,
            "--params",
            params_json({k: PARAMS[k] for k in PARAMS if k != "quality"} | {"positions": positions}),
        ]
    )


def imported(folder: Path, positions: dict[str, Any] = PARAMS["positions"]) -> FeatureShards:
    files = {name: folder / f"out_{name}" for name in ("npy", "mask", "parquet")}
    argv = ["--input", f"shard={folder}/shard.csv", f"signers={folder}/stats.npz"]
    argv += ["--output", *(f"{name}={path}" for name, path in files.items())]
    assert import_features.main([*argv, "--params", params_json(PARAMS | {"positions": positions})]) == 0
    return FeatureShards([files["npy"]], [files["parquet"]], [files["mask"]])


def rows(frames: int, seed: int, zero: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return zero + scale * np.random.default_rng(seed).normal(size=(frames, 4))


def test_a_signer_with_another_zero_and_range_gets_the_same_columns(tmp_path: Path) -> None:
    clips = {name: rows(frames, frames) for name, frames in (("a", 9), ("b", 14))}
    clips |= {f"{name}2": 3.0 + 0.25 * clip for name, clip in clips.items()}
    assert made(tmp_path, clips, dict(zip(clips, ("ann", "ann", "bea", "bea"), strict=True))) == 0
    shards = imported(tmp_path)
    for name in ("a", "b"):
        np.testing.assert_allclose(shards.clip(name), shards.clip(f"{name}2"), atol=1e-5)


def test_every_clip_contributes_equally_however_long_it_is(tmp_path: Path) -> None:
    clips = {"short": rows(3, 0), "one": rows(1, 1), "long": rows(500, 2, zero=50.0)}
    assert made(tmp_path, clips, dict.fromkeys(clips, "ann")) == 0
    stats = SignerStats.read(tmp_path / "stats.npz")
    for place, column in enumerate(COLUMNS):
        values = [clip[:, column].astype(np.float32).tolist() for clip in clips.values()]
        mean = sum(sum(clip) / len(clip) for clip in values) / 3
        square = sum(sum((x - mean) ** 2 for x in clip) / len(clip) for clip in values) / 3
        assert stats.mean[0, place] == pytest.approx(mean, rel=1e-6)
        assert stats.std[0, place] == pytest.approx(square**0.5, rel=1e-6)
    given = imported(tmp_path)
    expected = (clips["long"][:, COLUMNS] - stats.mean[0, :3]) / stats.std[0, :3]
    np.testing.assert_allclose(given.clip("long")[:, :3], expected, rtol=1e-4, atol=1e-5)


def test_a_column_that_never_changes_becomes_0_and_missing_rows_stay_missing(tmp_path: Path) -> None:
    clip = rows(8, 0)
    clip[:, 1] = 7.0
    clip[3] = 0.0
    assert (
        made(tmp_path, {"a": clip, "b": rows(5, 1) * [1, 0, 1, 1] + [0, 7, 0, 0]}, {"a": "s", "b": "s"}) == 0
    )
    found = imported(tmp_path).clip("a")
    assert np.isnan(found[3]).all() and np.isfinite(np.delete(found, 3, axis=0)).all()
    np.testing.assert_allclose(np.delete(found, 3, axis=0)[:, 1], 0.0, atol=1e-6)


def test_a_clip_that_a_review_set_aside_stays_in_its_shard(tmp_path: Path) -> None:
    clips = {"a": rows(6, 0), "aside": rows(6, 1)}
    assert made(tmp_path, clips, dict.fromkeys(clips, "ann")) == 0
    table = pd.read_parquet(tmp_path / "manifest.parquet")
    table[table["clip_id"] != "aside"].to_parquet(tmp_path / "manifest.parquet")
    argv = ["--input", f"manifest={tmp_path}/manifest.parquet", "--output", f"stats={tmp_path}/stats.npz"]
    params = params_json({name: PARAMS[name] for name in PARAMS if name != "quality"})
    assert signer_stats.main([*argv, "--params", params]) == 0
    found = imported(tmp_path)
    assert found.length("a") == found.length("aside") == 6


def test_clips_without_a_signer_are_those_of_one_and_an_unreadable_clip_is_rejected_later(
    tmp_path: Path,
) -> None:
    clips = {"a": rows(6, 0), "b": rows(6, 1, zero=9.0), "gone": None, "empty": np.zeros((5, 4))}
    assert made(tmp_path, clips, {"a": None, "b": None, "gone": "x", "empty": "y"}) == 0
    stats = SignerStats.read(tmp_path / "stats.npz")
    assert stats.mean.shape == (1, 6) and 2.0 < stats.mean[0, 0] < 7.0
    index = imported(tmp_path).index.set_index("clip_id")
    assert index["reason"].to_dict() == {"a": "", "b": "", "gone": "unreadable", "empty": "no_person"}


def test_a_signer_whose_right_hand_is_never_seen_is_standardised_in_the_rest(tmp_path: Path) -> None:
    sides = ["left-x", "left-y", "right-x", "right-y", "nose-x", "nose-y"]
    table = pd.DataFrame(100.0 + 20.0 * np.random.default_rng(0).normal(size=(90, 6)), columns=sides)
    table.insert(0, "video", np.repeat([1, 2, 3], 30))
    table.insert(1, "frame", np.tile(np.arange(30), 3))
    table.loc[table["video"] == 3, ["right-x", "right-y"]] = np.nan
    table.to_csv(tmp_path / "h.csv", index=False)
    positions = {"groups": ["hands", "velocity"], "others": [], "span": 1, "normalise_by": "signer"}
    clips = [f"h.csv#{number}" for number in (1, 2, 3)]
    signers = dict(zip(clips, ("ann", "ann", "bob"), strict=True))
    assert made(tmp_path, dict.fromkeys(clips), signers, positions, suffix="") == 0
    stats = SignerStats.read(tmp_path / "stats.npz")
    assert stats.mean.shape[0] == 2 and np.isfinite(stats.mean).all() and np.isfinite(stats.std).all()
    shards = imported(tmp_path, positions)
    found = shards.clip(clips[2])
    assert shards.index.set_index("clip_id").loc[clips[2], "status"] == "ok"
    seen = np.isfinite(found).any(axis=0)
    assert 0 < seen.sum() < found.shape[1]
    np.testing.assert_allclose(np.nanmean(found[:, seen], 0), 0.0, atol=1e-5)


def test_no_readable_clip_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert made(tmp_path, {"gone": None}, {"gone": "x"}) == 2
    assert "no clip could be read; see manifest_rejects.csv" in capsys.readouterr().err
    assert not (tmp_path / "stats.npz").exists()
