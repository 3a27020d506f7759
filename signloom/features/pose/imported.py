"""Import given feature rows as a pose-feature shard: one file a clip, or clips of a table of rows."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.dataset.row_files import RowFiles, Values
from signloom.dataset.row_tables import split_key
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
from signloom.features.pose.point_columns import point_columns
from signloom.features.pose.position_features import position_features, presence, read_points, width_of
from signloom.features.pose.reject_reasons import Verdict, judge_ready_features
from signloom.features.shards import append_npy
from signloom.files import write_parquet
from signloom.params.features import GateParams, PositionsParams
from signloom.progress import track

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Rows:
    """One clip: features (T, dim), presence (T, 4) and source frames (T,)."""

    features: Values
    present: Mask
    frames: NDArray[np.int64]


@dataclass(frozen=True)
class Span:
    """Rows of a file from `start` to before `end` (None: to its last)."""

    start: int = 0
    end: int | None = None

    @classmethod
    def of_cut(cls, start_s: float | None, end_s: float | None, fps: float) -> "Span":
        """Return the rows between two times (None: first or last row) of a file with `fps` rows a second."""
        return cls(round((start_s or 0) * fps), None if end_s is None else round(end_s * fps))

    def of(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return these rows of a file; raises SignloomError if there are none."""
        if not len(inside := rows[self.start : self.end]):
            raise SignloomError(f"no row from {self.start} on; the file has {len(rows)}")
        return inside


WHOLE = Span()


class Source:
    """Rows as they are. A row of zeros is missing; of 540 columns each part of the body may be missing."""

    def __init__(self) -> None:
        self.files = RowFiles()

    def width(self, paths: Iterable[Path]) -> int:
        """Return the number of columns of the first clip that can be read, or 0."""
        for path in paths:
            with suppress(SignloomError):  # the index will say why this clip is rejected
                return self.files.shape(path)[1]
        return 0

    def load(self, path: Path, span: Span = WHOLE) -> Rows:
        """Read rows of one file; raises SignloomError if it cannot be read or they are broken."""
        values, place = self.files.read(path), split_key(path)
        frames = self.files.table(place[0]).frames(place[1]) if place else np.arange(len(values))
        values, frames = span.of(values), span.of(frames)
        if values.shape[1] == FEATURE_DIM:
            return Rows(*_missing_parts(values), frames)
        nan = np.isnan(values)
        # a row is missing as a whole; a single NaN is the trace of a failed computation
        if (broken := nan.any(axis=1) & ~nan.all(axis=1)).any():
            row = int(broken.argmax())
            raise SignloomError(
                f"row {span.start + row + 1} has {nan[row].sum()} NaN among {len(nan[row])} values"
            )
        return Rows(*_missing_rows(values), frames)

    def clip(self, clip: Mapping[str, Any], fps: float) -> Rows:
        """Return `clip`, a row of a shard list, cut from its file, which has `fps` rows a second.

        Raises SignloomError if it cannot be read.
        """
        # cut first: what is measured over a clip, such as its mean, must not depend on others in its file
        return self.load(Path(clip["video_path"]), Span.of_cut(clip["start_s"], clip["end_s"], fps))

    def rate(self, fps: float) -> float:
        """Return how many rows a second are taken, of `fps` that the clips have."""
        return fps

    def diagnostics(self, rows: Rows, fps: float) -> dict[str, float]:
        """Return mean_visibility and motion as of landmarks, or NaN for rows of another width than 540."""
        if rows.features.shape[1] != FEATURE_DIM:
            return _UNKNOWN
        length = len(rows.features)
        parts = {
            name: rows.features[:, columns].astype(np.float64) for name, columns in FEATURE_PARTS.items()
        }
        pose = parts["pose"].reshape(length, POSE_POINTS, 4)
        left, right = (parts[name].reshape(length, HAND_POINTS, 3) for name in ("left_hand", "right_hand"))
        visible = pose[:, UPPER_BODY, 3][np.isfinite(pose[:, UPPER_BODY, 3])]
        return {
            "mean_visibility": float(visible.mean()) if len(visible) else float("nan"),
            **summarise(frame_motion(pose, left, right, fps)),
        }


class Positions(Source):
    """Columns made of hand and nose positions, which are named columns of a table such as `hands.csv#98`."""

    def __init__(self, params: PositionsParams) -> None:
        super().__init__()
        self.params = params

    def width(self, paths: Iterable[Path]) -> int:
        """Return the number of columns that are made, of whatever clips."""
        return width_of(self.params.groups)

    def load(self, path: Path, span: Span = WHOLE) -> Rows:
        """Compute the chosen columns of rows of one file; raises SignloomError if they cannot be read."""
        place = split_key(path)
        if place is None:
            raise SignloomError(
                "expected a clip of a table, such as hands.csv#98, because positions.groups is set"
            )
        table, key = self.files.table(place[0]), place[1]
        points = read_points(table.columns, span.of(table.values(key)))
        made = position_features(points, self.params.groups, self.params.span)
        return Rows(made.astype(np.float32), presence(points), span.of(table.frames(key)))


class Points(Source):
    """Columns made of points in space and of others, which are columns of the rows."""

    def __init__(self, params: PositionsParams) -> None:
        super().__init__()
        self.params = params

    def width(self, paths: Iterable[Path]) -> int:
        """Return the number of columns that are made, of whatever clips."""
        return self.params.width

    def load(self, path: Path, span: Span = WHOLE) -> Rows:
        """Compute the columns of rows of one file; raises SignloomError if they cannot be read."""
        given, every = super().load(path, span), self.params.every
        made = point_columns(given.features[::every].astype(np.float64), self.params)
        there = np.isfinite(made).any(axis=1, keepdims=True)
        present = np.repeat(there, len(PARTS), 1).astype(np.uint8)
        return Rows(made.astype(np.float32), present, np.arange(len(made)) + span.start // every)

    def rate(self, fps: float) -> float:
        """Return how many rows a second are taken."""
        return fps / self.params.every


# visibility is unknown, and motion has no unit without a shoulder width
_UNKNOWN = {"mean_visibility": float("nan"), **summarise(np.zeros(0))}


def write_ready_shard(
    clips: list[dict[str, Any]],
    outputs: tuple[Path, Path, Path],
    quality: GateParams,
    positions: PositionsParams,
    fps: float,
    standardise: Callable[[str, Values], Values] | None = None,
) -> None:
    """Write the features, mask and index of `clips` (rows of a shard list) to `outputs`.

    Clips have `fps` rows a second. `standardise` gets a clip's id and its rows. A clip is rejected if it
    cannot be read, all its rows are missing, or `judge_ready_features` says so. A shard of rows none of which
    can be read has no columns.
    """
    source = source_of(positions)
    given_fps, fps = fps, source.rate(fps)
    npy, mask, index = outputs
    dim = source.width(Path(clip["video_path"]) for clip in clips)
    nothing = Rows(np.zeros((0, dim), np.float32), np.zeros((0, len(PARTS)), np.uint8), np.zeros(0, np.int64))
    rows: list[dict[str, Any]] = []
    with (
        append_npy(npy, dim, np.float32) as features,
        append_npy(mask, len(PARTS), np.uint8) as masks,
    ):
        for clip in track(clips, "import_features"):
            try:
                found = source.clip(clip, given_fps)
                if found.features.shape[1] != dim:
                    raise SignloomError(f"{found.features.shape[1]} columns, and other clips have {dim}")
                verdict = _judge(found, fps, quality)
            except SignloomError as error:
                found, verdict = nothing, Verdict("unreadable", str(error))
            rejected = verdict.rejects(quality)
            measured = source.diagnostics(found, fps)
            rows.append(_row(clip["clip_id"], features.rows, fps, found, rejected, verdict) | measured)
            if not rejected:
                values = found.features
                features.append(standardise(clip["clip_id"], values) if standardise else values)
                masks.append(found.present)
    columns = list(_row("", 0, fps, nothing, True, Verdict()))
    write_parquet(index, pd.DataFrame(rows, columns=columns))


def source_of(positions: PositionsParams) -> Source:
    """Return how clips are read with these parameters."""
    if positions.groups:
        return Positions(positions)
    return Points(positions) if positions.made else Source()


def _judge(found: Rows, fps: float, quality: GateParams) -> Verdict:
    if not found.present.any():
        return Verdict("no_person", f"every value of {len(found.frames)} rows is 0 or missing")
    return judge_ready_features(len(found.frames) / fps, quality)


def _missing_parts(values: Values) -> tuple[Values, Mask]:
    """Return features (T, 540) with NaN for missing parts, and the presence (T, 4) of the parts.

    A part is missing in a frame if all of it is 0 or any of it is NaN.
    """
    present = np.zeros((len(values), len(PARTS)), np.uint8)
    values = values.copy()
    for number, columns in enumerate(FEATURE_PARTS.values()):
        part = values[:, columns]
        there = np.isfinite(part).all(axis=1) & (part != 0).any(axis=1)
        part[~there] = np.nan
        present[:, number] = there
    return values, present


def _missing_rows(values: Values) -> tuple[Values, Mask]:
    """Return `values` (T, D) with NaN in rows of zeros, and the presence (T, 4): the row's, four times."""
    there = (np.nan_to_num(values) != 0).any(axis=1)
    return np.where(there[:, None], values, np.nan), np.repeat(there[:, None], len(PARTS), 1).astype(np.uint8)


def _row(
    clip_id: str, offset: int, fps: float, found: Rows, rejected: bool, verdict: Verdict
) -> dict[str, Any]:
    """Return the index row of one clip: the columns of the pose-feature index, and `dim`, its width."""
    frames = found.frames[:0] if rejected else found.frames
    return {
        "clip_id": clip_id,
        "offset": offset,
        "length": len(frames),
        "fps": fps,
        "width": 0,
        "height": 0,
        "frame_index": frames,
        "time_s": (frames - frames[:1].sum()) / fps,
        "status": "rejected" if rejected else "ok",
        "reason": verdict.reason if rejected else "",
        "detail": verdict.detail,
        "detection_ratio": float(found.present[:, :3].any(axis=1).mean()) if len(found.present) else 0.0,
        **_UNKNOWN,
        "total_frames": len(found.features),
        "kept_seconds": len(found.features) / fps,
        "quality_flag": verdict.reason or "ok",
        "dim": found.features.shape[1],
    }
