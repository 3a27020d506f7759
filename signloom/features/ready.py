"""Features that a user already has, one .npy of shape (T, 540) a clip, as a pose-feature shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.features.layout import FEATURE_DIM, FEATURE_PARTS, HAND_POINTS, PARTS, POSE_POINTS
from signloom.features.motion import frame_motion, summarise
from signloom.features.shards import append_npy
from signloom.files import write_parquet
from signloom.params.features import QualityParams
from signloom.progress import track

FPS = 25.0


def write_ready_shard(clips: pd.DataFrame, outputs: tuple[Path, Path, Path], quality: QualityParams) -> None:
    """Copy the arrays that `clips` (`clip_id, video_path`) names into features, mask and index.

    A part whose numbers are all zero in a frame is missing there. Of the gates only `unreadable` and
    `too_few_frames` apply: the others need raw landmarks.
    """
    npy, mask, index = outputs
    rows: list[dict[str, Any]] = []
    with (
        append_npy(npy, FEATURE_DIM, np.float32) as features,
        append_npy(mask, len(PARTS), np.uint8) as masks,
    ):
        for clip in track(clips.to_dict("records"), "import_features"):
            values, problem = _load(Path(clip["video_path"]))
            values, present = _mark_missing(values)
            reason = problem and "unreadable"
            if not reason and len(values) < quality.min_frames:
                reason, problem = (
                    "too_few_frames",
                    f"{len(values)} frames, min_frames is {quality.min_frames}",
                )
            rejected = reason == "unreadable" or (bool(reason) and not quality.keep_low)
            rows.append(_row(clip["clip_id"], features.rows, values, present, rejected, reason, problem))
            if not rejected:
                features.append(values)
                masks.append(present)
    columns = list(_row("", 0, *_mark_missing(np.zeros((0, FEATURE_DIM), np.float32)), True, "", ""))
    write_parquet(index, pd.DataFrame(rows, columns=columns))


def _load(path: Path) -> tuple[NDArray[np.float32], str]:
    """Return the array at `path`, or an empty one and what is wrong with it."""
    nothing = np.zeros((0, FEATURE_DIM), np.float32)
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        return nothing, str(error)
    if values.ndim != 2 or values.shape[1] != FEATURE_DIM:
        return nothing, f"shape {values.shape}, expected (T, {FEATURE_DIM})"
    if np.isinf(values).any():
        return nothing, "infinite values"
    return values.astype(np.float32), ""


def _mark_missing(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return `values` with NaN for every part that a frame lacks, and the presence (T, 4) of the parts."""
    present = np.zeros((len(values), len(PARTS)), np.uint8)
    values = values.copy()
    for number, columns in enumerate(FEATURE_PARTS.values()):
        part = values[:, columns]
        there = np.isfinite(part).all(axis=1) & (part != 0).any(axis=1)
        part[~there] = np.nan
        present[:, number] = there
    return values, present


def _row(
    clip_id: str,
    offset: int,
    values: NDArray[np.float32],
    present: NDArray[np.uint8],
    rejected: bool,
    reason: str,
    detail: str,
) -> dict[str, Any]:
    """Return the index row of one clip, in the columns of the pose-feature index."""
    length = len(values)
    parts = {name: values[:, columns].astype(np.float64) for name, columns in FEATURE_PARTS.items()}
    pose = parts["pose"].reshape(length, POSE_POINTS, 4)
    left, right = (parts[name].reshape(length, HAND_POINTS, 3) for name in ("left_hand", "right_hand"))
    visible = pose[..., 3][np.isfinite(pose[..., 3])]
    kept = 0 if rejected else length
    return {
        "clip_id": clip_id,
        "offset": offset,
        "length": kept,
        "fps": FPS,
        "width": 0,
        "height": 0,
        "frame_index": np.arange(kept),
        "time_s": np.arange(kept) / FPS,
        "status": "rejected" if rejected else "ok",
        "reason": reason if rejected else "",
        "detail": detail,
        "detection_ratio": float(present[:, :3].any(axis=1).mean()) if length else 0.0,
        "mean_visibility": float(visible.mean()) if len(visible) else float("nan"),
        **summarise(frame_motion(pose, left, right, FPS)),
        "total_frames": length,
        "quality_flag": reason or "ok",
    }
