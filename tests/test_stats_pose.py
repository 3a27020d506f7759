"""Statistics come from the training clips' present values alone, and keep their digits."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.features.pose.layout import FEATURE_PARTS
from signloom.features.shards import append_npy
from signloom.features.stats import RunningMoments, Stats, still_columns
from workflow_scripts import stats_pose


def write_inputs(folder: Path, clips: dict[str, np.ndarray], splits: dict[str, tuple[str, int]]) -> list[str]:
    """Two shards that hold `clips` by turns, and `splits`: clip to split and sentence_id."""
    argv = ["--input"]
    for number in range(2):
        rows = []
        files = {kind: folder / f"{number}.{kind}" for kind in ("npy", "mask.npy", "parquet")}
        with append_npy(files["npy"], 540, "f4") as array, append_npy(files["mask.npy"], 4, "u1") as masks:
            for clip_id in list(clips)[number::2]:
                clip = clips[clip_id]
                rows.append(
                    {
                        "clip_id": clip_id,
                        "offset": array.rows,
                        "length": len(clip),
                        "motion_mean": len(clip) / 10,
                    }
                )
                array.append(clip)
                starts = [columns.start for columns in FEATURE_PARTS.values()]
                masks.append(np.isfinite(clip[:, starts]).astype(np.uint8))
        kinds = {"clip_id": "str", "offset": "int64", "length": "int64", "motion_mean": "float64"}
        pd.DataFrame(rows, columns=list(kinds)).astype(kinds).to_parquet(files["parquet"])
        argv += [f"features={files['npy']}", f"mask={files['mask.npy']}", f"index={files['parquet']}"]
    rows = [(clip_id, split, sentence, 1) for clip_id, (split, sentence) in splits.items()]
    table = pd.DataFrame(rows, columns=["clip_id", "split", "sentence_id", "seen"])
    table.to_csv(folder / "splits.csv", index=False)
    return [*argv, f"splits={folder / 'splits.csv'}", "--output", f"stats={folder / 'stats.npz'}"]


def some_clips(seed: int = 0, lengths: tuple[int, ...] = (1, 3, 40, 75, 120, 9)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    clips = {}
    for n in lengths:
        clip = rng.normal(rng.normal(size=540) * 5, 2, (n, 540)).astype(np.float32)
        for columns in FEATURE_PARTS.values():
            clip[rng.random(n) < 0.3, columns] = np.nan
        clips[f"c{n}"] = clip
    return clips


TRAIN = ("c1", "c3", "c40", "c75")
SPLITS = {name: ("train", 0) for name in TRAIN} | {"c120": ("test", 0), "c9": ("train", -1)}


def test_only_signed_training_clips_and_present_values_count(tmp_path: Path) -> None:
    clips = some_clips()
    assert stats_pose.main(write_inputs(tmp_path, clips, SPLITS)) == 0
    stats = np.load(tmp_path / "stats.npz", allow_pickle=False)
    rows = np.concatenate([clips[name] for name in TRAIN]).astype(np.float64)
    np.testing.assert_allclose(stats["feature_mean"], np.nanmean(rows, axis=0), rtol=1e-6)
    np.testing.assert_allclose(stats["feature_std"], np.nanstd(rows, axis=0), rtol=1e-6)
    assert sorted(stats["seq_lengths"]) == [1, 3, 40, 75]
    np.testing.assert_allclose(stats["motion_means"] * 10, stats["seq_lengths"])
    assert stats["feature_mean"].dtype == stats["feature_std"].dtype == np.float32
    assert stats["feature_mean"].shape == stats["feature_std"].shape == (540,)


def test_a_clip_called_na_is_a_clip(tmp_path: Path) -> None:
    clips = {"NA": np.full((5, 540), 2.0, np.float32), "b": np.full((5, 540), 4.0, np.float32)}
    assert stats_pose.main(write_inputs(tmp_path, clips, dict.fromkeys(clips, ("train", 0)))) == 0
    np.testing.assert_allclose(np.load(tmp_path / "stats.npz")["feature_mean"], 3)


def test_a_constant_column_has_the_smallest_deviation_and_an_unseen_part_has_one(tmp_path: Path) -> None:
    clip = np.full((50, 540), 3.25, np.float32)
    clip[:, FEATURE_PARTS["left_hand"]] = np.nan
    assert stats_pose.main(write_inputs(tmp_path, {"a": clip}, {"a": ("train", 0)})) == 0
    stats = np.load(tmp_path / "stats.npz", allow_pickle=False)
    hand = np.zeros(540, bool)
    hand[FEATURE_PARTS["left_hand"]] = True
    np.testing.assert_allclose(stats["feature_std"][~hand], 1e-4)
    np.testing.assert_array_equal(stats["feature_mean"][~hand], np.float32(3.25))
    # with no value ever seen, a deviation of 1e-4 would blow the first one up
    np.testing.assert_array_equal(stats["feature_std"][hand], 1)
    np.testing.assert_array_equal(stats["feature_mean"][hand], 0)


def test_a_warning_names_the_columns_without_variance_by_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = np.random.default_rng(0).normal(size=(50, 540)).astype(np.float32)
    assert stats_pose.main(write_inputs(tmp_path, {"a": clip}, {"a": ("train", 0)})) == 0
    assert "warning" not in capsys.readouterr().err
    clip[:, 2:132:4] = 0  # depth of the pose and of the left hand
    clip[:, 134:195:3] = 0
    clip[:, 3:40:4] = 1  # visibility of ten points
    assert stats_pose.main(write_inputs(tmp_path, {"a": clip}, {"a": ("train", 0)})) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert warnings == [
        "warning: stats_pose: these columns have no variance in training and count as 0: "
        "z of pose, left_hand; visibility of pose (10 of 33 points)"
    ]


def test_columns_of_another_layout_are_named_by_number() -> None:
    deviations = np.array([1.0, 1e-4, 2.0, 1e-4], np.float32)
    assert still_columns(Stats(np.zeros(4, np.float32), deviations)) == "1, 3 of 0 to 3"


@settings(max_examples=30)
@given(sizes=st.lists(st.sampled_from([0, 1, 3, 500]), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_merged_moments_equal_two_passes_even_where_a_column_hardly_moves(
    sizes: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scale = np.array([1.0, 1e-3, 1e-6, 1e4])
    chunks = [rng.normal(1e3, scale, (n, 4)) for n in sizes]
    moments = RunningMoments(4)
    for chunk in chunks:
        moments.add(chunk)
    rows = np.concatenate(chunks)
    if not len(rows):
        assert moments.deviation().tolist() == [1, 1, 1, 1]
        return
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-12)
    exact = ((rows - rows.mean(axis=0)) ** 2).mean(axis=0)
    np.testing.assert_allclose(moments.squares / len(rows), exact, rtol=1e-6, atol=1e-20)
    if len(rows) >= 500:
        # the way that the documents did it: nothing is left of the small column
        naive = (rows**2).mean(axis=0) - rows.mean(axis=0) ** 2
        assert abs(naive[2] - exact[2]) > exact[2] / 2


def test_no_training_clip_is_an_error_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = some_clips()
    assert stats_pose.main(write_inputs(tmp_path, clips, dict.fromkeys(clips, ("test", 0)))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/splits.csv: the training split has no signed clip; check ")
    assert not (tmp_path / "stats.npz").exists()


def test_the_file_carries_no_time(tmp_path: Path) -> None:
    stats_pose.main(write_inputs(tmp_path, some_clips(), SPLITS))
    with zipfile.ZipFile(tmp_path / "stats.npz") as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
