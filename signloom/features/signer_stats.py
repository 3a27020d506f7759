"""Mean and deviation of the columns of each signer, by which feature rows are standardised.

They need no labels, so those of a signer who is not in training may be used too.
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.imported import Source, source_of
from signloom.features.stats import VARIANCE_FLOOR
from signloom.files import write_npz
from signloom.params.features import PositionsParams
from signloom.progress import track

Array = NDArray[np.float64]


class SignerStats:
    """Mean and deviation (S, D) of each signer's columns, and the signer of each clip."""

    def __init__(self, signer_of: Mapping[str, str], signers: list[str], mean: Array, std: Array) -> None:
        """Take the row of `mean` and `std` of each of `signers`, and the signer of every clip."""
        self._signer_of, self._row = signer_of, {signer: row for row, signer in enumerate(signers)}
        self.mean, self.std = mean, std

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read signer_stats.npz."""
        with np.load(path, allow_pickle=False) as file:
            signer_of = dict(zip(file["clip_id"].tolist(), file["signer_of_clip"].tolist(), strict=True))
            return cls(signer_of, file["signer"].tolist(), file["mean"], file["std"])

    def standardise(self, clip_id: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `rows` (T, D) of a clip in deviations of its signer from the mean of the same signer.

        The rows of a clip that a review set aside stay as they are: nothing reads them.
        """
        if clip_id not in self._signer_of:
            return rows
        row = self._row[self._signer_of[clip_id]]
        return np.asarray((rows - self.mean[row]) / self.std[row], np.float32)

    def typical(self, clip_ids: Iterable[str]) -> tuple[Array, Array]:
        """Return the mean (D,) of the signers of these clips, and the root (D,) of their mean variance."""
        rows = sorted({self._row[self._signer_of[clip]] for clip in clip_ids})
        return self.mean[rows].mean(0), np.sqrt((self.std[rows] ** 2).mean(0))


class Moments:
    """Mean and deviation of the columns of one signer, to which every clip contributes equally."""

    def __init__(self) -> None:
        self.means: list[Array] = []
        self.squares: list[Array] = []

    def add(self, rows: NDArray[np.floating]) -> None:
        """Add a clip of `rows` (T, D); values that are NaN are left out."""
        wide = rows.astype(np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of columns without a value, whose mean is NaN
            self.means.append(np.nanmean(wide, 0))
            self.squares.append(np.nanvar(wide, 0))

    def result(self) -> tuple[Array, Array]:
        """Return mean and variance (D,); both are NaN for a column without a value."""
        means = np.array(self.means)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            # the variance within clips and that between them
            variance = np.nanmean(self.squares, axis=0) + np.nanvar(means, 0)
            mean: Array = np.nanmean(means, 0)
        return mean, variance


def _filled(values: Array) -> Array:
    """Return values (S, D) in which a signer's missing ones are the mean of those of all other signers.

    They only stand for columns in which the signer has no value, such as a hand that is never seen, or no
    deviation, because the column never changes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        others = np.nan_to_num(np.nanmean(values, 0), nan=1.0)
    return np.where(np.isnan(values), others, values)


def write_signer_stats(
    clips: Iterable[dict[str, Any]], positions: PositionsParams, fps: float, path: Path
) -> None:
    """Write signer_stats.npz of `clips`: clip_id, video_path, start_s, end_s and signer_id of each.

    Clips without a signer are taken for those of one. A clip that cannot be read is left out, and stage
    import_features rejects it. Clips have `fps` rows a second. Raises SignloomError if no clip can be read.
    """
    source = source_of(positions)
    found: dict[str, Moments] = {}
    signer_of: dict[str, str] = {}
    for clip in track(list(clips), "signer_stats"):
        signer = signer_of[clip["clip_id"]] = clip["signer_id"] or ""
        rows = _rows(source, clip, fps)
        if rows is not None:
            found.setdefault(signer, Moments()).add(rows)
    if not found:
        raise SignloomError("positions.normalise_by: no clip could be read; see manifest_rejects.csv")
    signers = sorted(found)
    means, variances = map(np.array, zip(*(found[signer].result() for signer in signers), strict=True))
    write_npz(
        path,
        clip_id=np.array(list(signer_of), str),
        signer_of_clip=np.array(list(signer_of.values()), str),
        signer=np.array(signers, str),
        mean=_filled(means),
        std=_filled(np.sqrt(np.where(variances <= VARIANCE_FLOOR, np.nan, variances))),
    )


def _rows(source: Source, clip: Mapping[str, Any], fps: float) -> NDArray[np.float32] | None:
    """Return the rows (T, D) of a clip, or None if it cannot be read or all its rows are missing."""
    try:
        rows = source.clip(clip, fps).features
    except SignloomError:  # import_features says why this clip is rejected
        return None
    return None if np.isnan(rows).all() else rows
