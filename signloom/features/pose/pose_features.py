"""Turn raw landmarks into the 540 features of a frame: one smoothed body.

docs/design/pose-features.md gives the reasons and measurements for every choice.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose import layout
from signloom.features.pose.motion import frame_motion, summarise
from signloom.features.pose.raw_clip import TORSO, RawClip
from signloom.features.pose.reject_reasons import Verdict, judge_landmarks
from signloom.features.pose.resample import nearest_frames, resample_part, time_grid
from signloom.params.features import GateParams, PoseParams

Array = NDArray[np.float64]
Body = dict[str, Array]

# lengths up to this, in pixels, belong to a collapsed skeleton
MIN_LENGTH = 1e-4


@dataclass(frozen=True)
class PoseFeatures:
    """The kept frames of one clip.

    `features` float32 (T, 540) is NaN where a part is missing; `mask` uint8 (T, 4) is the presence of pose,
    left hand, right hand and face; `frame_index` (T,) and `time_s` (T,) belong to the rows; `diagnostics`
    describes the whole clip; `verdict` names the first gate that the clip fails, if any.
    """

    features: NDArray[np.float32]
    mask: NDArray[np.uint8]
    frame_index: NDArray[np.int64]
    time_s: Array
    diagnostics: dict[str, float]
    verdict: Verdict


def landmarks_to_features(raw: RawClip, pose: PoseParams, quality: GateParams) -> PoseFeatures:
    """Return the features of one clip and the first gate, if any, that it fails."""
    body = one_space(raw)
    # whether each raw row shows a pose, a left hand and a right hand
    shown = np.isfinite(raw.rows[:, [layout.RAW_PARTS[part].start for part in layout.PARTS[:3]]])
    grid = time_grid(raw.times, pose.fps)
    body = {part: _resampled(values, raw.times, grid, pose) for part, values in body.items()}
    motion = frame_motion(body["pose"], body["left_hand"], body["right_hand"], pose.fps)
    kept = np.flatnonzero(keep_frames(body, motion, quality))
    placed = normalise({part: values[kept] for part, values in body.items()}, pose.scale)
    smooth = {part: smoothed(v, kept, pose.smoothing, pose.max_gap) for part, v in placed.items()}
    features, mask = to_columns(smooth)
    diagnostics = {
        "detection_ratio": float(shown.any(axis=1).mean()) if len(raw.rows) else 0.0,
        "mean_visibility": _mean_visibility(raw.rows),
        **summarise(motion),
        "total_frames": len(raw.rows),
        "kept_seconds": len(kept) / pose.fps,
    }
    verdict = judge_landmarks(bool(shown[:, 0].any()), diagnostics, quality)
    nearest = nearest_frames(raw.times, grid[kept]) if len(kept) else np.empty(0, np.int64)
    return PoseFeatures(features, mask, raw.frame_index[nearest], grid[kept], diagnostics, verdict)


def one_space(raw: RawClip) -> Body:
    """Return pose (n, 33, 4), hands (n, 21, 3) and face (n, 94, 3) in pixels, as one body in one space.

    MediaPipe's z has the scale of x. The z of a hand is relative to its wrist and that of the face to the
    face, so hands and face are moved to the depth of the pose's wrists and nose; without those, z is NaN.
    """
    n = len(raw.rows)
    unit = np.array([raw.width, raw.height, raw.width], np.float64)
    body = {part: raw.rows[:, columns].astype(np.float64) for part, columns in layout.RAW_PARTS.items()}
    pose = body["pose"].reshape(n, layout.POSE_POINTS, 4)
    pose[..., :3] *= unit
    out = {"pose": pose}
    for part, wrist in layout.WRISTS.items():
        out[part] = body[part].reshape(n, layout.HAND_POINTS, 3) * unit
        out[part][..., 2] += pose[:, wrist, 2, None]
    out["face"] = body["face"].reshape(n, layout.FACE_POINTS, 3)[:, :: layout.FACE_STEP] * unit
    out["face"][..., 2] += pose[:, layout.NOSE, 2, None]
    return out


def _resampled(values: Array, times: Array, grid: Array, pose: PoseParams) -> Array:
    flat = values.reshape(len(values), values.shape[1] * values.shape[2])
    even = resample_part(flat, times, grid, pose.fps, pose.max_gap)
    return even.reshape(len(grid), *values.shape[1:])


def keep_frames(body: Body, motion: Array, quality: GateParams) -> NDArray[np.bool_]:
    """Return which frames (T,) to keep: those with a hand, and those with a clear or moving upper body."""
    hand = _present(body["left_hand"]) | _present(body["right_hand"])
    clear = body["pose"][:, layout.UPPER_BODY, 3].mean(axis=1) >= quality.min_visibility
    moving = motion > quality.motion_keep
    return np.asarray(hand | (_present(body["pose"]) & (clear | moving)))


def normalise(body: Body, scale: str) -> Body:
    """Centre every frame on its torso and divide by the body size of the clip or of the frame.

    The centre is the mean of shoulders and hips. The size of a frame comes from `body_sizes`; the size of a
    clip is the median over its frames. A frame without a pose becomes NaN. Visibility does not change.
    """
    sizes = body_sizes(body["pose"])
    if scale == "clip":
        known = sizes[np.isfinite(sizes)]
        sizes = np.full(len(sizes), np.median(known) if len(known) else np.nan)
    centre = body["pose"][:, TORSO, :3].mean(axis=1)
    out = {}
    for part, values in body.items():
        out[part] = values.copy()
        out[part][..., :3] = (values[..., :3] - centre[:, None]) / sizes[:, None, None]
    out["pose"][~np.isfinite(out["pose"][:, 0, 0])] = np.nan
    return out


def body_sizes(pose: Array) -> Array:
    """Return the body size (T,) in every frame of `pose` (T, 33, 4), NaN if it is unknown.

    It is the median of those among shoulder width, hip width and torso height, in x and y, that are longer
    than `MIN_LENGTH`.
    """
    xy = pose[..., :2]
    lengths = np.stack(
        [
            np.linalg.norm(xy[:, layout.SHOULDERS[0]] - xy[:, layout.SHOULDERS[1]], axis=-1),
            np.linalg.norm(xy[:, layout.HIPS[0]] - xy[:, layout.HIPS[1]], axis=-1),
            np.linalg.norm(xy[:, layout.SHOULDERS].mean(axis=1) - xy[:, layout.HIPS].mean(axis=1), axis=-1),
        ],
        axis=1,
    )
    lengths[~(lengths > MIN_LENGTH)] = np.nan
    sizes = np.full(len(pose), np.nan)
    known = np.isfinite(lengths).any(axis=1)
    sizes[known] = np.nanmedian(lengths[known], axis=1)
    return sizes


def smoothed(values: Array, frames: NDArray[np.int64], a: float, max_gap: int) -> Array:
    """Return the exponential moving average out[t] = a x[t] + (1 - a) out[t-1] of `values` (T, points, d).

    It restarts from the current value after a missing row, and after a gap of more than `max_gap` frames.
    `frames` (T,) are the frame numbers of the rows before any frame was dropped.
    """
    out = np.full_like(values, np.nan)
    present = _present(values)
    joined = present[1:] & present[:-1] & (np.diff(frames) - 1 <= max_gap)
    starts = np.flatnonzero(present & ~np.concatenate([[False], joined]))
    ends = np.flatnonzero(present & ~np.concatenate([joined, [False]])) + 1
    for start, end in zip(starts, ends, strict=True):
        last = values[start]
        for row in range(start, end):
            last = out[row] = a * values[row] + (1 - a) * last
    return out


def to_columns(body: Body) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return `body` as features (T, 540) and its presence (T, 4)."""
    features = np.empty((len(body["pose"]), layout.FEATURE_DIM), np.float32)
    for part, columns in layout.FEATURE_PARTS.items():
        features[:, columns] = body[part].reshape(len(features), columns.stop - columns.start)
    mask = np.stack([_present(body[part]) for part in layout.PARTS], axis=1).astype(np.uint8)
    return features, mask


def _mean_visibility(rows: NDArray[np.float32]) -> float:
    visibility = rows[:, layout.RAW_PARTS["pose"]][:, 3::4][:, layout.UPPER_BODY]
    visibility = visibility[np.isfinite(visibility[:, 0])]
    return float(visibility.mean(dtype=np.float64)) if len(visibility) else float("nan")


def _present(values: Array) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(values).all(axis=(1, 2)))
