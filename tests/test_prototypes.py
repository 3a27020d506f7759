"""Prototypes: the direction of a sentence's training clips, and of no others."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_corpus import arguments

from signloom.errors import SignloomError
from signloom.inference.prototypes import make_prototypes
from workflow_scripts import prototypes as stage


def clips(rows: list[tuple[str, int, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["clip_id", "sentence_id", "split"])


MAP = clips(
    [
        ("z", 4, "train"),
        ("a", 2, "train"),
        ("b", 4, "train"),
        ("c", 4, "test"),
        ("d", 7, "train"),
        ("e", -1, "train"),
        ("f", 2, "train"),
        ("g", -1, "train"),
    ]
)
VECTORS = np.array([[0, 1], [1, 0], [1, 0], [-1, 0], [1, 0], [0, 1], [1, 0], [0, 1]], np.float32)


def test_a_prototype_is_the_unit_mean_of_the_training_clips() -> None:
    made = make_prototypes(VECTORS, MAP, 2)
    assert made["sentence_ids"].tolist() == [2, 4]
    assert made["counts"].tolist() == [2, 2]
    np.testing.assert_allclose(made["embeddings"], [[1, 0], [0.5**0.5, 0.5**0.5]], atol=1e-7)
    assert [made[name].dtype for name in ("sentence_ids", "embeddings", "counts")] == [
        "int32",
        "float32",
        "int32",
    ]


def test_one_clip_is_enough_where_the_parameter_says_so() -> None:
    assert make_prototypes(VECTORS, MAP, 1)["sentence_ids"].tolist() == [2, 4, 7]


def test_no_sentence_with_enough_clips_gives_empty_arrays_of_the_right_shape() -> None:
    made = make_prototypes(VECTORS, MAP, 9)
    assert made["embeddings"].shape == (0, 2)
    assert made["sentence_ids"].shape == (0,)


def test_clips_that_cancel_out_are_an_error() -> None:
    with pytest.raises(SignloomError, match="sentence 1 "):
        make_prototypes(
            np.array([[1, 0], [-1, 0]], np.float32), clips([("a", 1, "train"), ("b", 1, "train")]), 2
        )


def test_the_order_of_the_clips_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(MAP), 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for run, order in enumerate((np.arange(len(MAP)), rng.permutation(len(MAP)))):
        table = MAP.iloc[order].assign(video_file="v", feature_path="p", sentence="s", category="")
        table.to_csv(tmp_path / f"map{run}.csv", index=False)
        np.save(tmp_path / f"{run}.npy", vectors[order])
        inputs = {"embeddings": [tmp_path / f"{run}.npy"], "map": [tmp_path / f"map{run}.csv"]}
        # a time stamp in the archive would show here
        monkeypatch.setattr(time, "time", lambda run=run: 1e9 + 1e8 * run)
        out = tmp_path / f"{run}.npz"
        assert (
            stage.main(arguments(inputs, {"prototypes": out}, {"retrieval": {"prototype_min_clips": 2}})) == 0
        )
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_embeddings_that_do_not_fit_their_map_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MAP.assign(video_file="", feature_path="", sentence="", category="").to_csv(
        tmp_path / "m.csv", index=False
    )
    np.save(tmp_path / "e.npy", VECTORS[:-1])
    inputs = {"embeddings": [tmp_path / "e.npy"], "map": [tmp_path / "m.csv"]}
    assert (
        stage.main(
            arguments(inputs, {"prototypes": tmp_path / "p.npz"}, {"retrieval": {"prototype_min_clips": 2}})
        )
        == 2
    )
    assert "7 rows" in capsys.readouterr().err
    assert not (tmp_path / "p.npz").exists()
