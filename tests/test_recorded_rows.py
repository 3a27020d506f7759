"""Rows as a device recorded them get from a bundle the answers that the features of the import stage get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_params import section
from exported import PARAMS, Exported, Inputs
from small_corpus import arguments

from signloom.__main__ import main
from signloom.errors import SignloomError
from signloom.export.outputs import FILES
from signloom.features.pose.imported import write_ready_shard
from signloom.features.shards import FeatureShards
from signloom.features.signer_stats import SignerStats
from signloom.inference.command import read_clip
from signloom.inference.recorded_rows import recorded_rows
from signloom.params.features import PositionsParams, QualityParams
from workflow_scripts import export

OTHERS: dict[str, Any] = {"others": [0, 2, 3], "span": 1, "every": 2}
BY_SIGNER = OTHERS | {"normalise_by": "signer"}


def write_clips(folder: Path, columns: int, clips: int = 3) -> list[Path]:
    rng = np.random.default_rng(3)
    paths = [folder / f"{number}.npy" for number in range(clips)]
    for path in paths:
        np.save(path, rng.normal(2.0, 5.0, (30, columns)).astype(np.float32))
    return paths


def config(positions: dict[str, Any], mean: float = 0.0, std: float = 1.0) -> dict[str, Any]:
    """The parts of model_config.json that are read, with a training signer of one mean and deviation."""
    p = section(PositionsParams, **positions)
    signer = {"mean": [mean] * p.width, "std": [std] * p.width}
    return {"positions": p.model_dump(), "signer": signer if p.normalise_by == "signer" else None}


def imported(folder: Path, paths: list[Path], positions: dict[str, Any]) -> FeatureShards:
    """What stage import_features makes of clips, without standardising them."""
    listed: list[dict[str, Any]] = [
        {"clip_id": path.stem, "video_path": str(path), "start_s": None, "end_s": None} for path in paths
    ]
    files = (folder / "out.npy", folder / "out.mask.npy", folder / "out.parquet")
    p = section(PositionsParams, **positions)
    write_ready_shard(listed, files, section(QualityParams, min_seconds=0.1), p, 25.0)
    return FeatureShards([files[0]], [files[2]], [files[1]])


def test_features_are_those_of_the_import_stage(tmp_path: Path) -> None:
    paths = write_clips(tmp_path, 4)
    shards, read = imported(tmp_path, paths, OTHERS), recorded_rows(config(OTHERS), paths)
    for path in paths:
        features, mask = read(path)
        assert features.shape == (15, 6)
        np.testing.assert_array_equal(features, shards.clip(path.stem))
        np.testing.assert_array_equal(mask, shards.mask(path.stem))


@pytest.mark.parametrize("clips", [1, 3, 12])
def test_clips_are_standardised_with_ten_of_a_training_signer(
    tmp_path: Path, clips: int, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write_clips(tmp_path, 4, clips)
    shards = imported(tmp_path, paths, OTHERS)
    capsys.readouterr()
    read = recorded_rows(config(BY_SIGNER, 3.0, 2.0), paths)
    assert capsys.readouterr().err == f"note: all files are taken for clips of one signer ({clips} read)\n"
    # each clip counts as much as another, and so do ten with the mean and the variance of the signer
    first = [shards.clip(path.stem).astype(np.float64).mean(0) for path in paths] + [np.full(6, 3.0)] * 10
    squares = [(shards.clip(path.stem).astype(np.float64) ** 2).mean(0) for path in paths]
    squares += [np.full(6, 4.0 + 9.0)] * 10
    mean = np.mean(first, axis=0)
    std = np.sqrt(np.mean(squares, axis=0) - mean**2)
    for path in paths:
        np.testing.assert_allclose(read(path)[0], (shards.clip(path.stem) - mean) / std, rtol=1e-4, atol=1e-5)


def test_a_column_that_never_moves_has_no_variance_of_its_own(tmp_path: Path) -> None:
    still, empty, moving = tmp_path / "still.npy", tmp_path / "empty.npy", tmp_path / "moving.npy"
    rows = np.random.default_rng(0).normal(0.0, 1.0, (30, 4)).astype(np.float32)
    np.save(moving, rows)
    rows[:, 2] = 0.5
    np.save(still, rows)
    rows[:, 2] = np.nan
    np.save(empty, rows)
    plain, read = (
        recorded_rows(config(OTHERS), [still])(still)[0],
        recorded_rows(config(BY_SIGNER, 0.5, 0.1), [still]),
    )
    at = int(np.flatnonzero((plain == 0.5).all(0))[0])
    # one clip without variance and ten with 0.1: the column only looks ten percent calmer
    shifted = np.load(still)
    shifted[:, 2] = 0.6
    np.save(moving, shifted)
    assert read(moving)[0][:, at] == pytest.approx(0.1 / np.sqrt(10 / 11 * 0.01), rel=1e-4)
    never = recorded_rows(config(BY_SIGNER, 0.5, 0.1), [empty])
    assert never(moving)[0][:, at] == pytest.approx(1.0, rel=1e-4)


def test_a_typical_signer_is_the_mean_of_those_who_were_trained_on() -> None:
    mean, std = np.array([[1.0], [3.0], [50.0]]), np.array([[1.0], [7.0], [9.0]])
    signers = SignerStats({"x": "a", "y": "b", "z": "c", "w": "a"}, ["a", "b", "c"], mean, std)
    typical = signers.typical(["x", "w", "y"])
    assert [value.tolist() for value in typical] == [[2.0], [5.0]]


@pytest.mark.parametrize("positions", [OTHERS, BY_SIGNER])
@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((9, 4), np.float32), "every value of 5 rows is 0 or missing"),
        (np.ones((9, 2), np.float32), "column 3 is missing; the rows have 2"),
    ],
)
def test_a_file_that_is_no_clip_is_named_and_the_others_are_read(
    tmp_path: Path, positions: dict[str, Any], rows: np.ndarray, says: str
) -> None:
    good, bad = write_clips(tmp_path, 4, 1)[0], tmp_path / "bad.npy"
    np.save(bad, rows)
    for given in ([bad], [bad, good]):
        read = recorded_rows(config(positions), given)
        with pytest.raises(SignloomError, match=says):
            read(bad)
    assert read(good)[0].shape == (15, 6)


def test_predict_answers_recorded_rows_as_their_features(
    export_inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 270 columns and their velocities are as wide as the features of the small corpus
    names = {name: tmp_path / file for name, file in FILES.items()}
    params = PARAMS | {"positions": {"others": list(range(270)), "span": 1}}
    assert export.main(arguments(export_inputs, names, params)) == 0
    bundle = str(Exported(export_inputs, tmp_path).bundle)
    (rows,) = write_clips(tmp_path, 270, 1)
    features, mask = recorded_rows(config(params["positions"]), [rows])(rows)
    made = tmp_path / "made.npz"
    np.savez(made, features=features, mask=mask)
    capsys.readouterr()
    answers = []
    for path in (rows, made):
        assert main(["predict", str(path), "--bundle", bundle, "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out) | {"clip": ""})
    assert answers[0] == answers[1] and answers[0]["frames"] == 30
    np.save(rows, np.ones((20, 3), np.float32))
    assert main(["predict", str(rows), "--bundle", bundle]) == 2
    assert "column 269 is missing; the rows have 3" in capsys.readouterr().err


def test_rows_that_miss_some_numbers_are_refused_as_training_refuses_them(tmp_path: Path) -> None:
    rows = np.ones((5, 3), np.float32)
    parts = {part: [0, 3] for part in ("pose", "left_hand", "right_hand", "face")}
    rows[2] = np.nan
    np.save(tmp_path / "a.npy", rows)
    assert read_clip(tmp_path / "a.npy", parts)[0][1].sum(axis=1).tolist() == [4, 4, 0, 4, 4]
    rows[4, 1] = np.nan
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(SignloomError, match="row 4 has 1 NaN among 3 values"):
        read_clip(tmp_path / "a.npy", parts)
