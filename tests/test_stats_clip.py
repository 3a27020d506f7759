"""Statistics of clip features, the training split's rows only, and of pose features of any width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.features.shards import append_npy
from signloom.features.stats import ColumnMoments
from workflow_scripts import stats_clip, stats_pose

SPLITS = {"a": ("train", 0), "b": ("train", 1), "c": ("test", 0), "d": ("train", -1), "gone": ("train", 3)}


def write_inputs(
    folder: Path, dim: int, mask: bool = False, **lengths: int
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Two shards that hold the clips of `SPLITS` by turns."""
    rng = np.random.default_rng(0)
    sizes = {"a": 9, "b": 1, "c": 30, "d": 4, "gone": 0} | lengths
    clips = {name: rng.normal(size * 3.0, 2, (size, dim)).astype(np.float32) for name, size in sizes.items()}
    argv = ["--input"]
    for number in range(2):
        rows, files = (
            [],
            [folder / f"{number}.npy", folder / f"{number}.parquet", folder / f"{number}.mask.npy"],
        )
        with append_npy(files[0], dim, "f4") as array, append_npy(files[2], 4, "u1") as masks:
            for clip_id in list(clips)[number::2]:
                rows.append((clip_id, array.rows, len(clips[clip_id]), 0.5))
                array.append(clips[clip_id])
                masks.append(np.ones((len(clips[clip_id]), 4), np.uint8))
        table = pd.DataFrame(rows, columns=["clip_id", "offset", "length", "motion_mean"])
        table.to_parquet(files[1])
        argv += [f"features={files[0]}", f"index={files[1]}", *([f"mask={files[2]}"] if mask else [])]
    splits = [(clip_id, split, sentence, 1) for clip_id, (split, sentence) in SPLITS.items()]
    table = pd.DataFrame(splits, columns=["clip_id", "split", "sentence_id", "seen"])
    table.to_csv(folder / "splits.csv", index=False)
    return [*argv, f"splits={folder / 'splits.csv'}", "--output", f"stats={folder / 'stats.npz'}"], clips


def test_only_signed_training_clips_count(tmp_path: Path) -> None:
    argv, clips = write_inputs(tmp_path, 12)
    assert stats_clip.main(argv) == 0
    stats = np.load(tmp_path / "stats.npz", allow_pickle=False)
    rows = np.concatenate([clips["a"], clips["b"]]).astype(np.float64)
    np.testing.assert_allclose(stats["feature_mean"], rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(stats["feature_std"], rows.std(0), rtol=1e-6)
    assert stats["seq_lengths"].tolist() == [9, 1, 0]
    assert stats["feature_mean"].dtype == stats["feature_std"].dtype == np.float32
    assert sorted(stats) == ["feature_mean", "feature_std", "seq_lengths"]


def test_training_clips_that_all_lack_features_are_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv, _ = write_inputs(tmp_path, 12, a=0, b=0)
    assert stats_clip.main(argv) == 2
    assert capsys.readouterr().err == (
        "error: stats_clip: no training clip has clip features; see column `detail` of their index\n"
    )
    assert not (tmp_path / "stats.npz").exists()


def test_pose_features_of_another_width_have_statistics_of_their_present_values(tmp_path: Path) -> None:
    argv, clips = write_inputs(tmp_path, 24, mask=True)
    clips["a"][2, 5] = clips["a"][:4, 7] = clips["b"][0, 7] = np.nan
    for number in range(2):
        with append_npy(tmp_path / f"{number}.npy", 24, "f4") as array:
            for clip_id in list(clips)[number::2]:
                array.append(clips[clip_id])
    assert stats_pose.main(argv) == 0
    stats = np.load(tmp_path / "stats.npz", allow_pickle=False)
    rows = np.concatenate([clips["a"], clips["b"]]).astype(np.float64)
    np.testing.assert_allclose(stats["feature_mean"], np.nanmean(rows, axis=0), rtol=1e-6)
    np.testing.assert_allclose(stats["feature_std"], np.nanstd(rows, axis=0), rtol=1e-6)
    assert stats["motion_means"].tolist() == [0.5, 0.5, 0.5]


@settings(max_examples=30)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 3, 500]), min_size=1, max_size=6),
    missing=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    seed=st.integers(0, 99),
)
def test_columns_merge_whole_and_broken_rows_as_two_passes_would(
    sizes: list[int], missing: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    chunks = [rng.normal(100, [1, 1e-2, 10], (size, 3)).astype(np.float32) for size in sizes]
    for chunk in chunks:
        chunk[rng.random(len(chunk)) < missing, 1] = np.nan
    moments = ColumnMoments(3)
    for chunk in chunks:
        moments.add(chunk)
    mean, deviation = moments.result()
    rows = np.concatenate(chunks).astype(np.float64)
    for column in range(3):
        seen = rows[~np.isnan(rows[:, column]), column]
        expected = (seen.mean(), max(seen.std(), 1e-4)) if len(seen) else (0, 1)
        np.testing.assert_allclose((mean[column], deviation[column]), expected, rtol=1e-6)
