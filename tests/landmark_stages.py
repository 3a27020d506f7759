"""Landmarks in place of videos, read by the real stages manifest, landmarks and pose_features."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from demo_params import params_json

from signloom.dataset.manifest import Manifest
from signloom.features.shards import FeatureShards
from tests.manifests import dataset_of, manifest_of
from workflow_scripts import landmarks, pose_features


class Made(NamedTuple):
    """What the stages made of a table."""

    manifest: Manifest
    landmarks: FeatureShards
    features: FeatureShards


def made_of(folder: Path, videos: list[str], importer: str = "csv", **dataset: Any) -> Made:
    """Run the stages on a table of `videos` (path, or path,start_s,end_s) below `folder`/videos.

    Without `videos`, the table is that folder.
    """
    table = folder / "videos"
    if videos:
        table = folder / "clips.csv"
        lines = [f"{video}{',' * (2 - video.count(','))},1,One." for video in videos]
        table.write_text("\n".join(["video,start_s,end_s,sentence_id,sentence", *lines]) + "\n", "utf-8")
    given = dataset_of(table, folder / "videos", importer, **dataset)
    manifest = manifest_of(given, folder / "hashes.json")
    shard = folder / "0.csv"
    manifest.clips[["clip_id", "video_path", "start_s", "end_s", "video_hash"]].to_csv(shard, index=False)
    raw = [f"npy={folder}/0.npy", f"parquet={folder}/0.parquet"]
    more = ["--params", params_json({"landmarks": {"max_fps": None}, "dataset": dataset})]
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
