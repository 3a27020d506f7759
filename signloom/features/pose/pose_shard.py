"""Stage pose_features: turn a shard of raw landmarks into a shard of features, one clip at a time."""

from pathlib import Path
from typing import Any

import numpy as np

from signloom.features.pose.layout import FEATURE_DIM, PARTS
from signloom.features.pose.motion import MOTION
from signloom.features.pose.pose_features import landmarks_to_features
from signloom.features.pose.raw_clip import RawClip
from signloom.features.shards import FeatureShards, NpyAppender, append_npy, write_index
from signloom.params.features import GateParams, PoseParams
from signloom.progress import track

# the columns of the index besides those of the landmark index
DIAGNOSTICS = dict.fromkeys(("detection_ratio", "mean_visibility", *MOTION), "float64")
DIAGNOSTICS |= {"total_frames": "int64", "kept_seconds": "float64", "quality_flag": "str"}


def write_pose_shard(
    landmarks: FeatureShards,
    outputs: tuple[Path, Path, Path],
    pose: PoseParams,
    quality: GateParams,
) -> None:
    """Turn the clips of `landmarks` into `outputs`: features .npy, mask .npy and index .parquet."""
    npy, mask, index = outputs
    rows: list[dict[str, Any]] = []
    with (
        append_npy(npy, FEATURE_DIM, np.float32) as features,
        append_npy(mask, len(PARTS), np.uint8) as masks,
    ):
        for clip in track(landmarks.index.to_dict("records"), "pose_features"):
            rows.append(_one_clip(clip, landmarks, features, masks, pose, quality))
    kept = landmarks.index.drop(columns=["shard"], errors="ignore")
    write_index(index, rows, kept.dtypes.to_dict() | DIAGNOSTICS)


def _one_clip(
    clip: dict[str, Any],
    landmarks: FeatureShards,
    features: NpyAppender,
    masks: NpyAppender,
    pose: PoseParams,
    quality: GateParams,
) -> dict[str, Any]:
    """Append the rows of one clip, unless it is rejected, and return its index row."""
    same = {"clip_id", "fps", "width", "height", "detail", "tracker"}
    row = {name: value for name, value in clip.items() if name in same}
    row |= {"offset": features.rows, "length": 0, "frame_index": [], "time_s": [], "quality_flag": ""}
    if clip["status"] != "ok":
        known = {"detection_ratio": 0.0, "total_frames": 0}
        return row | known | {"status": clip["status"], "reason": clip["reason"]}
    times, numbers = np.asarray(clip["time_s"], np.float64), np.asarray(clip["frame_index"], np.int64)
    raw = RawClip(landmarks.clip(clip["clip_id"]), times, numbers, clip["width"], clip["height"])
    found = landmarks_to_features(raw, pose, quality)
    row |= found.diagnostics
    if found.verdict.rejects(quality) or not len(found.features):
        return row | {"status": "rejected", **found.verdict._asdict()}
    features.append(found.features)
    masks.append(found.mask)
    return row | {
        "length": len(found.features),
        "frame_index": found.frame_index,
        "time_s": found.time_s,
        "status": "ok",
        "reason": "",
        "quality_flag": found.verdict.reason or "ok",
    }
