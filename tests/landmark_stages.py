"""Landmarks in place of videos, read by the real stages manifest, landmarks and pose_features."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from demo_params import params_json

from signloom.dataset.manifest import Manifest
from signloom.features.pose.layout import RAW_PARTS
from signloom.features.shards import FeatureShards
from tests.bodies import as_tracked, moving_body
from tests.manifests import dataset_of, manifest_of
from workflow_scripts import landmarks, pose_features

FPS = 25.0


def rows(seconds: float = 3.0) -> np.ndarray:
    """Return our raw rows: the left hand is missing at first, and the face at the end."""
    times = np.arange(round(seconds * FPS)) / FPS
    raw = as_tracked(moving_body(3 * times), times).rows
    raw[:10, RAW_PARTS["left_hand"]] = np.nan
    raw[-10:, RAW_PARTS["face"]] = np.nan
    return raw


def in_mp_data_order(raw: np.ndarray) -> np.ndarray:
    """Return rows as MP_Data has them: the face after the pose, and 0 for what is missing."""
    parts = ("pose", "face", "left_hand", "right_hand")
    return np.nan_to_num(np.concatenate([raw[:, RAW_PARTS[part]] for part in parts], axis=1))


def write_mp_data(folder: Path, signs: dict[str, np.ndarray], first: int = 0, copies: int = 2) -> None:
    """Write MP_Data/<sign>/<clip>/<frame>.npy; a sign has `copies` clips of its rows, each a bit smaller."""
    for sign, values in signs.items():
        for clip in range(first, first + copies):
            place = folder / sign / str(clip)
            place.mkdir(parents=True)
            for frame, row in enumerate(values):
                np.save(place / f"{frame}.npy", row * (1 - 0.1 * (clip - first)))


class Made(NamedTuple):
    """What the stages made of a table."""

    manifest: Manifest
    landmarks: FeatureShards
    features: FeatureShards


def made_of(
    folder: Path, videos: list[str], importer: str = "csv", table: Path | None = None, **dataset: Any
) -> Made:
    """Run the stages on a table of `videos` (path, or path,start_s,end_s) below `folder`/videos.

    Without `videos`, the table is `table`, or else that folder.
    """
    table = table or folder / "videos"
    if videos:
        table = folder / "clips.csv"
        lines = [f"{video}{',' * (2 - video.count(','))},1,One." for video in videos]
        table.write_text("\n".join(["video,start_s,end_s,sentence_id,sentence", *lines]) + "\n", "utf-8")
    given = dataset_of(table, folder / "videos", importer, **dataset)
    manifest = manifest_of(given, folder / "hashes.json")
    shard = folder / "0.csv"
    manifest.clips[["clip_id", "video_path", "start_s", "end_s", "video_hash"]].to_csv(shard, index=False)
    raw = [f"npy={folder}/0.npy", f"parquet={folder}/0.parquet"]
    # the graph, because its bits are those of other programs that run it on the same processor
    tracking = {"max_fps": None, "engine": "mediapipe"}
    more = ["--params", params_json({"landmarks": tracking, "dataset": dataset})]
    more += ["--threads", "1", "--scratch", f"{folder}/scratch"]
    assert landmarks.main(["--input", f"shard={shard}", "--output", *raw, *more]) == 0
    out = [f"npy={folder}/f.npy", f"mask={folder}/f.mask.npy", f"parquet={folder}/f.parquet"]
    more = ["--params", params_json({"pose": {}, "quality": {}})]
    assert pose_features.main(["--input", *raw, "--output", *out, *more]) == 0
    return Made(
        manifest,
        FeatureShards([folder / "0.npy"], [folder / "0.parquet"]),
        FeatureShards([folder / "f.npy"], [folder / "f.parquet"], [folder / "f.mask.npy"]),
    )
