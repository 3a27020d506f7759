"""Mean and standard deviation of every feature over the training clips, in one pass."""

import sys
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.layout import FEATURE_DIM, FEATURE_PARTS
from signloom.features.shards import FeatureShards
from signloom.files import write_npz
from signloom.progress import track

VARIANCE_FLOOR = 1e-8
# the deviation that stats have of a column without variance; such a column counts as 0 everywhere
STILL = float(np.float32(np.sqrt(VARIANCE_FLOOR)))
_CHUNK_ROWS = 4096


class Stats(NamedTuple):
    """Mean and deviation (D,) of the training clips' features."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Which columns (D,) have variance; the others carry nothing."""
        return self.std > STILL

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read global_stats.npz or clip_stats.npz; raises SignloomError if they cannot standardise."""
        with np.load(path, allow_pickle=False) as file:
            stats = cls(*(file[name].astype(np.float32) for name in ("feature_mean", "feature_std")))
        if not (np.isfinite(stats.mean).all() and np.isfinite(stats.std).all() and (stats.std > 0).all()):
            raise SignloomError(
                f"{path}: expected finite means and deviations above 0; build the stats again"
            )
        return stats

    def same(self, other: Self) -> bool:
        """Return whether both have the same values."""
        return np.array_equal(self.mean, other.mean) and np.array_equal(self.std, other.std)


class RunningMoments:
    """Count, mean and sum of squared deviations of columns, merged chunk by chunk in float64.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
    (1979). It forms no raw sum of squares, so nearly constant columns keep their precision.
    """

    def __init__(self, dim: int) -> None:
        self.count = 0
        self.mean = np.zeros(dim)
        self.squares = np.zeros(dim)

    def add(self, rows: NDArray[np.floating]) -> None:
        """Merge `rows` (n, dim), all of them finite."""
        n = len(rows)
        if not n:
            return
        chunk = rows.astype(np.float64)
        mean = chunk.mean(axis=0)
        chunk -= mean
        # the second sum corrects for rounding in the mean
        squares = np.einsum("ij,ij->j", chunk, chunk) - chunk.sum(axis=0) ** 2 / n
        self.merge(n, mean, squares)

    def merge(self, n: int, mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        """Merge `n` more rows with known `mean` and `squares` (sums of squared deviations)."""
        if not n:
            return
        total = self.count + n
        step = mean - self.mean
        self.mean += step * (n / total)
        self.squares += squares + step**2 * (self.count * n / total)
        self.count = total

    def deviation(self) -> NDArray[np.float64]:
        """Return sqrt(max(variance, 1e-8)) of every column, or 1 if there was no row."""
        if not self.count:
            return np.ones_like(self.mean)
        variance: NDArray[np.float64] = self.squares / self.count
        return np.sqrt(np.maximum(variance, VARIANCE_FLOOR))


class PartMoments:
    """The moments of every part of the body over the rows in which it is present."""

    def __init__(self) -> None:
        self._parts = {
            name: RunningMoments(columns.stop - columns.start) for name, columns in FEATURE_PARTS.items()
        }

    def add(self, features: NDArray[np.float32], mask: NDArray[np.uint8]) -> None:
        """Merge a clip: `features` (T, 540) and the presence `mask` (T, 4) of its parts."""
        for start in range(0, len(features), _CHUNK_ROWS):
            rows, present = features[start : start + _CHUNK_ROWS], mask[start : start + _CHUNK_ROWS] > 0
            for number, (name, columns) in enumerate(FEATURE_PARTS.items()):
                seen = present[:, number]
                part = rows[:, columns]
                self._parts[name].add(part if seen.all() else part[seen])

    def result(self) -> Stats:
        """Return mean and deviation (540,)."""
        mean, deviation = np.empty(FEATURE_DIM, np.float32), np.empty(FEATURE_DIM, np.float32)
        for name, columns in FEATURE_PARTS.items():
            mean[columns] = self._parts[name].mean
            deviation[columns] = self._parts[name].deviation()
        return Stats(mean, deviation)


class ColumnMoments:
    """The moments of every column over its present values; missing values are NaN."""

    def __init__(self, dim: int) -> None:
        self._whole = RunningMoments(dim)
        self._single = [RunningMoments(1) for _ in range(dim)]

    def add(self, features: NDArray[np.float32], mask: NDArray[np.uint8] | None = None) -> None:
        """Merge a clip: `features` (T, dim); `mask` is not needed, because missing values are NaN."""
        for start in range(0, len(features), _CHUNK_ROWS):
            rows = features[start : start + _CHUNK_ROWS]
            present = ~np.isnan(rows)
            whole = present.all(axis=1)
            self._whole.add(rows[whole])
            for column in np.flatnonzero(present[~whole].any(axis=0)):
                self._single[column].add(rows[~whole & present[:, column], column, None])

    def result(self) -> Stats:
        """Return mean and deviation (dim,)."""
        columns = [self._merged(number) for number in range(len(self._single))]
        mean = np.array([column.mean[0] for column in columns], np.float32)
        return Stats(mean, np.array([column.deviation()[0] for column in columns], np.float32))

    def _merged(self, number: int) -> RunningMoments:
        """Return the moments of one column over complete and incomplete rows."""
        column, single = RunningMoments(1), self._single[number]
        column.merge(self._whole.count, self._whole.mean[number], self._whole.squares[number])
        column.merge(single.count, single.mean[0], single.squares[0])
        return column


def write_pose_stats(clips: list[str], shards: FeatureShards, path: Path) -> None:
    """Write feature_mean, feature_std (dim,), seq_lengths and motion_means of the training clips to `path`.

    With 540 features per frame, the mask says which parts are missing; with any other width, a NaN is a
    missing value.
    """
    dim = shards.clip(clips[0]).shape[1]
    moments = PartMoments() if dim == FEATURE_DIM else ColumnMoments(dim)
    for clip_id in track(clips, "stats_pose"):
        moments.add(shards.clip(clip_id), shards.mask(clip_id))
    motion = shards.index.set_index("clip_id")["motion_mean"]
    stats = moments.result()
    if still := still_columns(stats):
        print(
            f"warning: stats_pose: these columns have no variance in training and count as 0: {still}",
            file=sys.stderr,
        )
    _write(path, stats, shards, clips, motion_means=motion.loc[clips].to_numpy(np.float32))


def still_columns(stats: Stats) -> str:
    """Return the columns without variance in words, such as `z of pose, left_hand`; "" if there are none."""
    still = ~stats.varies
    if len(still) != FEATURE_DIM:
        numbers = ", ".join(map(str, np.flatnonzero(still)))
        return numbers and f"{numbers} of 0 to {len(still) - 1}"
    said: dict[str, list[str]] = {}
    for name, columns in FEATURE_PARTS.items():
        values = ("x", "y", "z", "visibility") if name == "pose" else ("x", "y", "z")
        for place, value in enumerate(values):
            mine = still[columns][place :: len(values)]
            if mine.any():
                points = name if mine.all() else f"{name} ({mine.sum()} of {len(mine)} points)"
                said.setdefault(value, []).append(points)
    return "; ".join(f"{value} of {', '.join(parts)}" for value, parts in said.items())


def write_clip_stats(clips: list[str], shards: FeatureShards, path: Path) -> None:
    """Write feature_mean, feature_std (dim,) and seq_lengths of the training clips to `path`.

    Raises SignloomError if none of them has a row.
    """
    if not any(shards.length(clip_id) for clip_id in clips):
        raise SignloomError(
            "stats_clip: no training clip has clip features; see column `detail` of their index"
        )
    moments = ColumnMoments(shards.clip(clips[0]).shape[1])
    for clip_id in track(clips, "stats_clip"):
        moments.add(shards.clip(clip_id))
    _write(path, moments.result(), shards, clips)


def _write(path: Path, stats: Stats, shards: FeatureShards, clips: list[str], **more: Any) -> None:
    lengths = np.array([shards.length(clip_id) for clip_id in clips], np.int32)
    write_npz(path, feature_mean=stats.mean, feature_std=stats.std, seq_lengths=lengths, **more)
