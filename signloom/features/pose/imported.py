"""Import ready-made features as a pose-feature shard: .npy files, or clips of a table of positions."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.dataset.row_tables import RowTable, split_key
from signloom.errors import SignloomError
from signloom.features.pose.layout import (
    FEATURE_DIM,
    FEATURE_PARTS,
    HAND_POINTS,
    PARTS,
    POSE_POINTS,
    UPPER_BODY,
)
from signloom.features.pose.motion import frame_motion, summarise
from signloom.features.pose.position_features import position_features, presence, read_points, width_of
from signloom.features.pose.reject_reasons import Verdict, judge_ready_features
from signloom.features.shards import append_npy
from signloom.files import write_parquet
from signloom.params.features import GateParams, PositionsParams
from signloom.progress import track

Values = NDArray[np.float32]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Rows:
    """One clip: features (T, dim), presence (T, 4) and source frames (T,)."""

    features: Values
    present: Mask
    frames: NDArray[np.int64]


class Arrays:
    """One .npy of shape (T, 540) per clip; a part that is all zero in a frame is missing there."""

    dim = FEATURE_DIM

    def __init__(self, fps: float) -> None:
        self.fps = fps

    def load(self, path: Path) -> Rows:
        """Read one array; raises SignloomError if it is unreadable, has another width or infinite values."""
        if split_key(path):
            raise SignloomError("a clip of a table needs positions.groups; set the groups of columns to use")
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SignloomError(str(error)) from error
        if values.ndim != 2 or values.shape[1] != FEATURE_DIM:
            raise SignloomError(f"shape {values.shape}, expected (T, {FEATURE_DIM})")
        if np.isinf(values).any():
            raise SignloomError("the array has infinite values")
        marked, present = _mark_missing(values.astype(np.float32))
        return Rows(marked, present, np.arange(len(values)))

    def diagnostics(self, rows: Rows) -> dict[str, float]:
        """Return mean_visibility and the four motion figures of a clip, measured as for landmarks."""
        length = len(rows.features)
        parts = {
            name: rows.features[:, columns].astype(np.float64) for name, columns in FEATURE_PARTS.items()
        }
        pose = parts["pose"].reshape(length, POSE_POINTS, 4)
        left, right = (parts[name].reshape(length, HAND_POINTS, 3) for name in ("left_hand", "right_hand"))
        visible = pose[:, UPPER_BODY, 3][np.isfinite(pose[:, UPPER_BODY, 3])]
        return {
            "mean_visibility": float(visible.mean()) if len(visible) else float("nan"),
            **summarise(frame_motion(pose, left, right, self.fps)),
        }


class Positions:
    """Clips of tables of hand and nose positions, such as `hands.csv#98`; a table is read only once."""

    def __init__(self, params: PositionsParams) -> None:
        self.params = params
        self.dim, self.fps = width_of(params.groups), params.fps
        self._table = cache(RowTable)

    def load(self, path: Path) -> Rows:
        """Compute the chosen columns of one clip; raises SignloomError if its rows cannot be read."""
        place = split_key(path)
        if place is None:
            raise SignloomError(
                "expected a clip of a table, such as hands.csv#98, because positions.groups is set"
            )
        table, key = self._table(place[0]), place[1]
        points = read_points(table.columns, table.values(key))
        made = position_features(points, self.params.groups, self.params.span)
        return Rows(made.astype(np.float32), presence(points), table.frames(key))

    def diagnostics(self, rows: Rows) -> dict[str, float]:
        """Return NaN for all: visibility is unknown, and motion has no unit without a shoulder width."""
        return {"mean_visibility": float("nan"), **summarise(np.zeros(0))}


Source = Arrays | Positions


def write_ready_shard(
    clips: pd.DataFrame,
    outputs: tuple[Path, Path, Path],
    quality: GateParams,
    positions: PositionsParams,
    fps: float,
) -> None:
    """Write the features, mask and index of the clips in `clips` (`clip_id, video_path`) to `outputs`.

    Arrays have `fps` rows a second; a table has the rate of `positions`. A clip is rejected if it cannot be
    read or `judge_ready_features` says so.
    """
    source = Positions(positions) if positions.groups else Arrays(fps)
    npy, mask, index = outputs
    nothing = Rows(
        np.zeros((0, source.dim), np.float32), np.zeros((0, len(PARTS)), np.uint8), np.zeros(0, np.int64)
    )
    rows: list[dict[str, Any]] = []
    with (
        append_npy(npy, source.dim, np.float32) as features,
        append_npy(mask, len(PARTS), np.uint8) as masks,
    ):
        for clip in track(clips.to_dict("records"), "import_features"):
            try:
                found = source.load(Path(clip["video_path"]))
                verdict = judge_ready_features(len(found.features) / source.fps, quality)
            except SignloomError as error:
                found, verdict = nothing, Verdict("unreadable", str(error))
            rejected = verdict.rejects(quality)
            rows.append(_row(clip["clip_id"], features.rows, source, found, rejected, verdict))
            if not rejected:
                features.append(found.features)
                masks.append(found.present)
    columns = list(_row("", 0, source, nothing, True, Verdict()))
    write_parquet(index, pd.DataFrame(rows, columns=columns))


def _mark_missing(values: Values) -> tuple[Values, Mask]:
    """Return `values` with NaN for missing parts, and the presence (T, 4) of the parts."""
    present = np.zeros((len(values), len(PARTS)), np.uint8)
    values = values.copy()
    for number, columns in enumerate(FEATURE_PARTS.values()):
        part = values[:, columns]
        there = np.isfinite(part).all(axis=1) & (part != 0).any(axis=1)
        part[~there] = np.nan
        present[:, number] = there
    return values, present


def _row(
    clip_id: str, offset: int, source: Source, found: Rows, rejected: bool, verdict: Verdict
) -> dict[str, Any]:
    """Return the index row of one clip: the columns of the pose-feature index, and `dim`, its width."""
    frames = found.frames[:0] if rejected else found.frames
    return {
        "clip_id": clip_id,
        "offset": offset,
        "length": len(frames),
        "fps": source.fps,
        "width": 0,
        "height": 0,
        "frame_index": frames,
        "time_s": (frames - frames[:1].sum()) / source.fps,
        "status": "rejected" if rejected else "ok",
        "reason": verdict.reason if rejected else "",
        "detail": verdict.detail,
        "detection_ratio": float(found.present[:, :3].any(axis=1).mean()) if len(found.present) else 0.0,
        **source.diagnostics(found),
        "total_frames": len(found.features),
        "kept_seconds": len(found.features) / source.fps,
        "quality_flag": verdict.reason or "ok",
        "dim": source.dim,
    }
