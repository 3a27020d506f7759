"""The input rows of a gloss network: pose features, clip features, or both side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from signloom.errors import SignloomError
from signloom.features.pose.position_features import stack_frames
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.params.variants import Kind

Array = npt.NDArray[np.float32]
_EVEN_S = 2e-3  # times and rates of files are rounded


@dataclass(frozen=True, kw_only=True)
class RowFiles:
    """The files of a network's rows, one of each per shard; those of a family that is not read are left out.

    The clips of `copies` are named `<clip_id>#<k>`.
    """

    pose: Sequence[Path] = ()
    pose_index: Sequence[Path] = ()
    mask: Sequence[Path] = ()
    pose_stats: Path | None = None
    clip: Sequence[Path] = ()
    clip_index: Sequence[Path] = ()
    clip_stats: Path | None = None
    copies: Sequence[Path] = ()
    copies_index: Sequence[Path] = ()


class Rows(NamedTuple):
    """A clip before standardising: `values` (T, D), NaN if missing, and `mask` (T, 4) or (T, 0)."""

    values: Array
    mask: npt.NDArray[Any]  # presence as bits, or as shares of a window for `both`; (T, 0) for clip rows


class SignerStats:
    """Mean and deviation of each signer's training clips, and the signer of each clip.

    `stats` has signers as keys; an augmented copy `<clip_id>#<k>` belongs to the signer of its clip.
    """

    def __init__(self, stats: dict[str, Stats], signer_of: dict[str, str]) -> None:
        self.stats, self.signer_of = stats, signer_of

    def of(self, clip_id: str) -> Stats | None:
        """Return the stats of a clip's signer, or None if the signer has no training clip."""
        signer = self.signer_of.get(clip_id) or self.signer_of.get(clip_id.rpartition("#")[0], "")
        return self.stats.get(signer)


class GlossRows:
    """Rows of clips by id; `stats` holds the stats of each family of features that `kind` needs.

    `copies` lists the ids of the augmented copies of each clip; their rows are in the clip shards too.
    `dim` is the width of the network's input: pose features, clip features and mask bits, in this order,
    times `stack` rows side by side. Only every `every`-th row is read. `signers`, if set, replaces `stats`.
    """

    def __init__(
        self,
        kind: Kind,
        pose: FeatureShards | None,
        clip: FeatureShards | None,
        stats: dict[str, Stats],
        max_frames: int,
        copies: dict[str, list[str]] | None = None,
        stack: int = 1,
        every: int = 1,
    ) -> None:
        self.copies = copies or {}
        self.stack, self.every = stack, every
        self.signers: SignerStats | None = None
        self.kind, self.stats, self.max_frames = kind, stats, max_frames
        self.pose, self.clip = pose, clip
        families = ("pose", "clip") if kind == "both" else (kind,)
        self.mean = np.concatenate([stats[family].mean for family in families])
        self.std = np.concatenate([stats[family].std for family in families])
        self._varies = np.tile(Stats(self.mean, self.std).varies, stack)
        self.mask_dim = 0 if kind == "clip" else 4
        self.dim = (len(self.mean) + self.mask_dim) * stack
        self._times: dict[str, Any] | None = None
        self._after: dict[str, float] | None = None  # from the middle of the last window to its end
        self._windows = _windows(pose, clip) if pose is not None and clip is not None else {}

    @classmethod
    def open(
        cls,
        files: RowFiles,
        kind: Kind,
        max_frames: int,
        copies: bool = False,
        stack: int = 1,
        every: int = 1,
    ) -> Self:
        """Open those of `files` that a network of `kind` reads, with the copies of clips if `copies`.

        Raises SignloomError if a family that it reads is missing.
        """
        pose = clip = None
        stats: dict[str, Stats] = {}
        copies_of: dict[str, list[str]] = {}
        if kind != "clip":
            stats["pose"] = _stats(files.pose_stats, files.pose, "pose")
            pose = FeatureShards(files.pose, files.pose_index, files.mask)
        if kind != "pose":
            stats["clip"] = _stats(files.clip_stats, files.clip, "clip")
            more, more_index = (files.copies, files.copies_index) if copies else ((), ())
            clip = FeatureShards([*files.clip, *more], [*files.clip_index, *more_index])
            for name in sorted(clip.index.loc[clip.index["shard"] >= len(files.clip), "clip_id"]):
                copies_of.setdefault(name.rpartition("#")[0], []).append(name)
        return cls(kind, pose, clip, stats, max_frames, copies_of, stack, every)

    def backbone(self) -> dict[str, str]:
        """Return `backbone`, `weights` and `weights_sha256` of the clip rows, or {} without clip rows.

        Raises SignloomError if the shards come from different networks.
        """
        if self.clip is None:
            return {}
        names = ["backbone", "weights", "weights_sha256"]
        found = self.clip.index[names].drop_duplicates()
        if len(found) > 1:
            raise SignloomError(f"the clip features come from {len(found)} networks; extract them again")
        return {name: str(found[name].iloc[0]) for name in names}

    def __contains__(self, clip_id: str) -> bool:
        return all(clip_id in shards for shards in (self.pose, self.clip) if shards is not None)

    def length(self, clip_id: str) -> int:
        """Return how many rows of a clip a network reads, 1 to `max_frames`; 0 for a rejected clip."""
        lengths = [shards.length(clip_id) for shards in (self.pose, self.clip) if shards is not None]
        return min(-(-lengths[-1] // self.every), self.max_frames) if all(lengths) else 0

    def times(self, clip_id: str) -> npt.NDArray[np.float64]:
        """Return the time of each row of `read`, in seconds from the clip's start."""
        shards = self.clip if self.clip is not None else self.pose
        assert shards is not None
        if self._times is None:
            self._times = dict(zip(shards.index["clip_id"], shards.index["time_s"], strict=True))
        return np.asarray(self._times[clip_id], np.float64)

    def input_times(self, clip_id: str) -> npt.NDArray[np.float64]:
        """Return the time of each row of `network_input`, in seconds from the clip's start."""
        times = self.times(clip_id)[:: self.every]
        return times[_spaced(len(times), self.max_frames)]

    def length_s(self, clip_id: str) -> float:
        """Return how long a clip is that has rows, in seconds.

        The last frame is shown as long as the others, a single one as long as a frame of 25 a second.
        """
        times = self.times(clip_id)
        if self.clip is None:
            shown = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
            return float(times[-1]) + shown
        if self._after is None:
            index = self.clip.index
            columns = (index[name] for name in ("frame_index", "time_s", "last_frame", "fps"))
            after = map(_shown_after, *columns)
            self._after = dict(zip(index["clip_id"], after, strict=True))
        return float(times[-1] + self._after[clip_id])

    def read(self, clip_id: str) -> Rows:
        """Return all rows of a clip; raises SignloomError for an infinite value or an unexpected NaN."""
        if self.kind == "pose":
            return self.read_pose(clip_id)
        if self.kind == "clip":
            values = self.read_clip(clip_id)
            return Rows(values, np.zeros((len(values), 0), np.float32))
        return self.join(clip_id, self.read_pose(clip_id))

    def read_pose(self, clip_id: str) -> Rows:
        """Return the pose rows of a clip, one per frame."""
        assert self.pose is not None
        values, mask = self.pose.clip(clip_id), self.pose.mask(clip_id)
        # check only rows with all parts: which columns belong to which part differs between sources
        if np.isinf(values).any() or np.isnan(values[mask.all(1)]).any():
            raise SignloomError(
                f"clip {clip_id}: a pose feature is infinite, or NaN although no part is missing; build its "
                "shard again"
            )
        return Rows(values, mask)

    def read_clip(self, clip_id: str) -> Array:
        """Return the clip rows of a clip, one per window."""
        assert self.clip is not None
        values = self.clip.clip(clip_id)
        if not np.isfinite(values).all():
            raise SignloomError(f"clip {clip_id}: a clip feature is NaN or infinite; extract its shard again")
        return values

    def join(self, clip_id: str, pose: Rows) -> Rows:
        """Return the clip rows of `clip_id`, each beside the mean of its pose rows `pose` over the window."""
        frames, first, last = self._windows[clip_id]
        average = window_means(pose, frames, first, last)
        return Rows(np.concatenate([average.values, self.read_clip(clip_id)], axis=1), average.mask)

    def subsample(self, rows: Rows) -> Rows:
        """Return at most `max_frames` evenly spaced rows, including the first and the last."""
        if len(rows.values) <= self.max_frames:
            return rows
        kept = _spaced(len(rows.values), self.max_frames)
        return Rows(rows.values[kept], rows.mask[kept])

    def thin(self, rows: Rows, phase: int = 0) -> Rows:
        """Return every `every`-th row from `phase` on, at least the last row, stacked with neighbours."""
        if self.stack == self.every == 1:
            return rows
        start = min(phase, len(rows.values) - 1)
        return Rows(*(stack_frames(part, self.stack, self.every, start) for part in rows))

    def stats_of(self, clip_id: str) -> Stats:
        """Return the mean and deviation that standardise a clip: its signer's, or those of all signers."""
        own = self.signers.of(clip_id) if self.signers is not None else None
        return own or Stats(self.mean, self.std)

    def standardise(self, rows: Rows, clip_id: str) -> Rows:
        """Return the rows in standard deviations from the mean of `stats_of`; missing values stay NaN."""
        if rows.values.shape[1] != len(self.mean):
            raise SignloomError(
                f"the features have {rows.values.shape[1]} columns but the stats {len(self.mean)}; build the "
                "stats again"
            )
        stats = self.stats_of(clip_id)
        return Rows((rows.values - stats.mean) / stats.std, rows.mask)

    def network_input(self, clip_id: str) -> Array:
        """Return the network input (T, dim) of a clip outside training; T is 1 to `max_frames`."""
        return self.finish(self.subsample(self.thin(self.standardise(self.read(clip_id), clip_id))))

    def finish(self, rows: Rows) -> Array:
        """Return standardised rows (T, dim), 0 where a value is missing or its column never varied."""
        values = np.where(self._varies, np.nan_to_num(rows.values, nan=0.0), np.float32(0))
        return np.concatenate([values, rows.mask], axis=1)


def _shown_after(frames: Sequence[int], times: Sequence[float], last: Sequence[int], fps: float) -> float:
    """Return for how many seconds the frames from the middle of a clip's last window on are shown.

    `frames` are the middle frames of its windows, `times` theirs, and `last` the last frames. `fps` is the
    mean rate of the file. Where the rate varies, equally many frames before say how long they are shown.
    """
    if not len(frames):
        return 0.0
    count = last[-1] + 1 - frames[-1]
    begin, even = max(frames[-1] - count, frames[0]), count / fps
    if begin == frames[-1]:
        return float(even)
    near = (times[-1] - np.interp(begin, frames, times)) * count / (frames[-1] - begin)
    return float(even if abs(near - even) < _EVEN_S else near)


def _spaced(rows: int, most: int) -> npt.NDArray[np.intp]:
    """Return the numbers of at most `most` evenly spaced rows of `rows`, including the first and the last."""
    return np.rint(np.linspace(0, rows - 1, min(rows, most))).astype(np.intp)


def _stats(stats: Path | None, shards: Sequence[Path], family: str) -> Stats:
    if stats is None or not shards:
        raise SignloomError(f"this network reads {family} features: give --input {family} and {family}_stats")
    return Stats.read(stats)


def window_means(pose: Rows, frames: Sequence[int], first: Sequence[int], last: Sequence[int]) -> Rows:
    """Return `pose` averaged over windows of source frames from `first` to `last`, both included.

    `frames` are the source frames of the pose rows, ascending. A column is averaged over the rows that have a
    value, and is NaN if none has. A mask bit becomes the share of rows with the part, or 0 without rows.
    """
    start = np.searchsorted(frames, first, side="left")
    stop = np.searchsorted(frames, last, side="right")
    there = ~np.isnan(pose.values)
    count = _window_sums(there, start, stop)
    with np.errstate(invalid="ignore"):
        values = _window_sums(np.where(there, pose.values, 0.0), start, stop) / count
    mask = _window_sums(pose.mask, start, stop) / np.maximum(stop - start, 1)[:, None]
    return Rows(np.where(count > 0, values, np.nan).astype(np.float32), mask.astype(np.float32))


def _window_sums(
    values: npt.NDArray[np.generic], start: npt.NDArray[np.intp], stop: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:])
    difference: npt.NDArray[np.float64] = sums[stop] - sums[start]
    return difference


_Window = tuple[Sequence[int], Sequence[int], Sequence[int]]


def _windows(pose: FeatureShards, clip: FeatureShards) -> dict[str, _Window]:
    """Return, for clips in both, the source frames of the pose rows and the ends of the clip windows."""
    frames = dict(zip(pose.index["clip_id"], pose.index["frame_index"], strict=True))
    columns = (clip.index[name] for name in ("clip_id", "first_frame", "last_frame"))
    return {name: (frames[name], *ends) for name, *ends in zip(*columns, strict=True) if name in frames}
