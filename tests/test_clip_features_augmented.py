"""Augmented copies: of signed training clips only, each with its own draw, none without being asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from demo_params import params_json

from signloom.augment import frames as augment
from signloom.features.backbones.backbone import Backbone
from signloom.features.backbones.registry import BACKBONES
from signloom.features.shards import FeatureShards
from signloom.params.clips import ClipFeaturesParams
from tests.videos import write_video
from workflow_scripts import clip_features, clip_features_augmented

CLIPS = {"a": ("train", 0, 21), "b": ("test", 1, 5), "c": ("train", -1, 5), "d": ("train", 2, 1)}


class Means(torch.nn.Module):
    """A network that costs nothing: the mean colour of every frame."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((3, 4)).transpose(1, 2)


def means(params: ClipFeaturesParams, kept: Path) -> Backbone:
    spec = replace(BACKBONES["resnet18"], dim=3, mean=(0, 0, 0), std=(1, 1, 1))
    return Backbone(spec, Means(), "random", "", torch.device("cpu"), "fp32")


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr("signloom.features.clip.clip_features.open_network", means)
    monkeypatch.setitem(BACKBONES, "i3d", replace(BACKBONES["i3d"], dim=3))
    paths = [
        write_video(tmp_path / f"{name}.mp4", frames, seed)
        for seed, (name, (_, _, frames)) in enumerate(CLIPS.items())
    ]
    shard = pd.DataFrame(
        {"clip_id": list(CLIPS), "video_path": paths, "start_s": "", "end_s": "", "video_hash": "h"}
    )
    shard.to_csv(tmp_path / "0.csv", index=False)
    rows = [(name, split, sentence, 1) for name, (split, sentence, _) in CLIPS.items()]
    splits = pd.DataFrame(rows, columns=["clip_id", "split", "sentence_id", "seen"])
    splits.to_csv(tmp_path / "splits.csv", index=False)
    return ["--input", f"shard={tmp_path}/0.csv", f"splits={tmp_path}/splits.csv"]


def run(
    inputs: list[str], folder: Path, stage: object = clip_features_augmented, **frames: object
) -> FeatureShards:
    folder.mkdir()
    sections = {"clip_features": {"resize": 34, "crop": 32, "mode": "windowed"}}
    sections |= {"frames": frames, "dataset": {}}
    outputs = ["--output", f"npy={folder}/0.npy", f"parquet={folder}/0.parquet"]
    given = ["--params", params_json(sections), "--scratch", f"{folder}/scratch"]
    assert stage.main([*inputs, *outputs, *given]) == 0  # type: ignore[attr-defined]
    return FeatureShards([folder / "0.npy"], [folder / "0.parquet"])


def test_without_copies_the_shard_is_empty_and_no_network_is_loaded(
    inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(params: ClipFeaturesParams, kept: Path) -> Backbone:
        raise AssertionError("a network was loaded")

    with monkeypatch.context() as patch:
        patch.setattr("signloom.features.clip.clip_features.open_network", refuse)
        empty = run(inputs, tmp_path / "out", copies=0)
    assert empty.index.empty and np.load(tmp_path / "out" / "0.npy").shape == (0, 3)
    plain = run(inputs[:2], tmp_path / "plain", clip_features)
    assert list(empty.index.columns) == list(plain.index.columns)


def test_only_signed_training_clips_are_copied_and_their_copies_are_numbered(
    inputs: list[str], tmp_path: Path
) -> None:
    copies = run(inputs, tmp_path / "out", copies=3, level="heavy")
    assert copies.index["clip_id"].tolist() == ["a#1", "a#2", "a#3", "d#1", "d#2", "d#3"]
    assert (copies.index["status"] == "ok").all() and (copies.index["length"] >= 1).all()


def test_copies_differ_from_their_clip_and_from_each_other_and_are_the_same_in_every_run(
    inputs: list[str], tmp_path: Path
) -> None:
    plain = run(inputs[:2], tmp_path / "plain", clip_features)
    level = {"copies": 2, "level": "heavy"}
    copies, again = (run(inputs, tmp_path / name, **level) for name in ("one", "two"))
    other = run(inputs, tmp_path / "three", **level, seed=43)
    for name in ("0.npy", "0.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    versions = [plain.clip("a"), copies.clip("a#1"), copies.clip("a#2"), other.clip("a#1")]
    assert len({rows.tobytes() for rows in versions}) == 4
    assert copies.clip("a#1").tobytes() == again.clip("a#1").tobytes()


def test_level_none_gives_the_features_of_the_clip_itself(inputs: list[str], tmp_path: Path) -> None:
    plain = run(inputs[:2], tmp_path / "plain", clip_features)
    copies = run(inputs, tmp_path / "copies", copies=1, level="none")
    for clip_id in ("a", "d"):
        np.testing.assert_allclose(copies.clip(f"{clip_id}#1"), plain.clip(clip_id), atol=1e-6)


def test_a_copys_rows_name_the_source_frames_that_they_show(
    inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = augment.Level(speeds=(1.15,), speed_p=1.0)
    monkeypatch.setitem(augment.LEVELS, "heavy", fast)
    row = run(inputs, tmp_path / "out", copies=1, level="heavy").index.iloc[0]
    order = augment.at_speed(21, 1.15)
    assert row["length"] == 2 and len(order) == 18
    assert row["first_frame"].tolist() == order[[0, 4]].tolist()
    assert row["last_frame"].tolist() == order[[15, 17]].tolist()


def test_clips_that_cannot_be_read_become_rows(inputs: list[str], tmp_path: Path) -> None:
    (tmp_path / "d.mp4").write_bytes(b"no video")
    index = run(inputs, tmp_path / "out", copies=1).index.set_index("clip_id")
    assert index.loc["d#1", "reason"] == "unreadable" and index.loc["d#1", "length"] == 0
    assert index.loc["a#1", "status"] == "ok"
