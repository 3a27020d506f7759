"""How badly a clip fits its label: distances to the nearest clips of its own label and of the others.

The measure is the nearest-neighbour nonconformity of Vovk, Gammerman and Shafer, "Algorithmic Learning in a
Random World" (2005), section 3.1, with its p-value among all clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from signloom.evaluation.rivals import HAND_COLUMNS, resampled, standardised
from signloom.features.pose.layout import FEATURE_DIM
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.metrics.bootstrap import Floats
from signloom.progress import batches, track

FRAMES = 16  # of every clip after resampling
NEAREST = 3  # clips of a label whose mean distance counts
SHOWN = 5  # nearest clips of all labels that a reason counts
CANDIDATES = 40  # nearest clips that are compared by warping
BAND = 3  # frames by which warping may shift one of two clips
_CHUNK = 256  # clips compared at a time
_PART = 4096  # clips with which they are compared at a time

Ids = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Fit:
    """How clips (Q,) fit their labels among the clips of a gallery.

    `own` is the mean distance to the nearest clips of the own label, `other` that of the nearest other label
    `label`; both are NaN, and `label` is -1, where the gallery has no such clip. `nearest` (Q, SHOWN) are
    rows of the gallery, nearest first, -1 where there are no more; `distance` is that to the first, or inf.
    `own_clip` and `other_clip` are the nearest rows of both labels, -1 where there is none.
    """

    own: Floats
    other: Floats
    label: Ids
    nearest: Rows
    distance: Floats
    own_clip: Rows
    other_clip: Rows

    @property
    def misfit(self) -> Floats:
        """own / (own + other): 0 to 1, over 0.5 where another label is nearer; 0.5 where both are 0."""
        total = self.own + self.other
        return np.where(total == 0, 0.5, self.own / np.where(total == 0, 1.0, total))


def trajectories(shards: FeatureShards, stats: Stats, clips: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return `clips` as points (N, FRAMES * D): standardised rows at even times; of 540, arms and hands."""
    points = []
    for clip in track(clips, "trajectories"):
        rows = standardised(*shards.read(clip), stats)
        rows = rows[:, HAND_COLUMNS] if rows.shape[1] == FEATURE_DIM else rows
        points.append(resampled(rows, FRAMES).ravel().astype(np.float32))
    return np.stack(points) if points else np.zeros((0, 0), np.float32)


def fit_of(
    queries: npt.NDArray[np.floating],
    labels: Ids,
    gallery: npt.NDArray[np.floating],
    gallery_labels: Ids,
    own_rows: Rows | None = None,
    title: str = "misfit",
    frames: int = 0,
) -> Fit:
    """Return how `queries` (Q, D) fit their `labels` (Q,) among the points `gallery` (G, D).

    `own_rows` (Q,) are the gallery's rows that are the queries themselves and are left out. The distance is
    Euclidean; that to a label is the mean over its up to NEAREST nearest clips. If points are so many
    `frames`, the nearest CANDIDATES, and the nearest of the own label and of the others, are compared by
    warping, all further ones not at all.
    """
    count, (names, members) = len(queries), _members(gallery_labels)
    own, other, first = np.full((3, count), np.nan)
    label, nearest = np.full(count, -1, np.int64), np.full((count, SHOWN), -1, np.intp)
    own_clip, other_clip = np.full((2, count), -1, np.intp)
    first[:] = np.inf
    if not len(gallery):
        return Fit(own, other, label, nearest, first, own_clip, other_clip)
    for part in batches(range(count), _CHUNK, title):
        rows = np.asarray(part)
        apart = _distances(queries[rows], gallery)
        if own_rows is not None:
            apart[np.arange(len(rows)), own_rows[rows]] = np.inf
        if frames:
            apart = _warped(queries[rows], labels[rows], gallery, gallery_labels, apart, frames)
        to_label = np.empty((len(rows), len(names)))
        for places, these in members:
            to_label[:, places] = _nearest_mean(apart[:, these])
        right = labels[rows][:, None] == names
        mine = np.where(right, to_label, np.inf).min(1)
        rest = np.where(right, np.inf, to_label)
        own[rows], other[rows] = _known(mine), _known(rest.min(1))
        label[rows] = np.where(np.isfinite(rest.min(1)), names[rest.argmin(1)], -1)
        shown = np.stack([_first(row, SHOWN) for row in apart])
        near = np.take_along_axis(apart, shown, axis=1)
        nearest[rows, : shown.shape[1]] = np.where(np.isfinite(near), shown, -1)
        first[rows] = near[:, 0]
        for of, to in ((own_clip, labels[rows]), (other_clip, label[rows])):
            of[rows] = _nearest_of(apart, gallery_labels, to)
    return Fit(own, other, label, nearest, first, own_clip, other_clip)


def warped_distances(clip: Floats, others: Floats) -> Floats:
    """Return the dynamic time warping distances (N,) of `clip` (F, D) to `others` (N, F, D).

    It is the root of the smallest sum of squared distances along a path within BAND frames of the diagonal.
    """
    square = (clip * clip).sum(1)[:, None] + (others * others).sum(2)[:, None, :]
    square = np.maximum(square - 2 * np.einsum("fd,ned->nfe", clip, others, optimize=True), 0.0)
    frames = len(clip)
    total = np.full((len(others), frames + 1, frames + 1), np.inf)
    total[:, 0, 0] = 0.0
    for i in range(frames):
        for j in range(max(0, i - BAND), min(frames, i + BAND + 1)):
            before = np.minimum(np.minimum(total[:, i, j], total[:, i, j + 1]), total[:, i + 1, j])
            total[:, i + 1, j + 1] = square[:, i, j] + before
    return np.asarray(np.sqrt(total[:, frames, frames]))


def p_values(misfit: Floats) -> Floats:
    """Return for each clip the share of clips that fit as badly or worse, from 1 / n to 1; NaN stays NaN."""
    known = np.sort(misfit[np.isfinite(misfit)])
    worse = len(known) - np.searchsorted(known, misfit, side="left")
    return np.where(np.isfinite(misfit), worse / max(len(known), 1), np.nan)


def _warped(
    queries: npt.NDArray[np.floating],
    labels: Ids,
    points: npt.NDArray[np.floating],
    gallery_labels: Ids,
    apart: Floats,
    frames: int,
) -> Floats:
    """Return `apart` (Q, G) with the distances of candidates by warping, and inf for all others."""
    found = np.full(apart.shape, np.inf)
    for row, (query, label) in enumerate(zip(queries.astype(np.float64), labels, strict=True)):
        own = gallery_labels == label
        # without clips of both sides there is no misfit, and a label may have more than CANDIDATES clips
        sides = [np.flatnonzero(side) for side in (own, ~own)]
        nearest = [side[_first(apart[row, side], NEAREST + 1)] for side in sides]
        near = np.unique(np.concatenate([_first(apart[row], CANDIDATES), *nearest]))
        near = near[np.isfinite(apart[row, near])]
        if not len(near):  # the clip itself is all there is
            continue
        others = points[near].astype(np.float64).reshape(len(near), frames, -1)
        found[row, near] = warped_distances(query.reshape(frames, -1), others)
    return found


def _distances(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Floats:
    """Return the Euclidean distances (A, B) of the rows of `a` and `b`.

    They are of double precision, so that the number of threads does not change the order; a part of `b` at a
    time, because all of it would take twice the memory of the points.
    """
    ours = a.astype(np.float64)
    result = np.empty((len(a), len(b)))
    for start in range(0, len(b), _PART):
        theirs = b[start : start + _PART].astype(np.float64)
        square = (ours * ours).sum(1)[:, None] + (theirs * theirs).sum(1) - 2 * (ours @ theirs.T)
        result[:, start : start + _PART] = np.sqrt(np.maximum(square, 0.0))
    return result


def _members(labels: Ids) -> tuple[Ids, list[tuple[Rows, Rows]]]:
    """Return the distinct `labels` (N,), and for each number n of clips that labels have, two arrays.

    They are the places (K,) of those labels among the distinct ones, and the rows (K, n) of their clips. Most
    sentences of a large corpus have one clip, so that to go through labels one by one would take long.
    """
    order = np.argsort(labels, kind="stable")
    names, start, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    found = []
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        found.append((places, order[start[places][:, None] + np.arange(size)]))
    return names, found


def _first(distances: Floats, count: int) -> Rows:
    """Return the places of the `count` smallest of `distances` (N,), of all if there are fewer, in order.

    Of equal ones the first comes first, as if all were sorted.
    """
    if count >= len(distances):
        return np.argsort(distances, kind="stable")
    near = np.flatnonzero(distances <= np.partition(distances, count - 1)[count - 1])
    return near[np.argsort(distances[near], kind="stable")[:count]]


def _nearest_mean(apart: Floats) -> Floats:
    """Return the mean (...) of the up to NEAREST smallest finite of `apart` (..., M), inf if none."""
    few = np.sort(apart, axis=-1)[..., :NEAREST]
    there = np.isfinite(few)
    total = np.where(there, few, 0.0).sum(-1)
    return np.where(there.any(-1), total / np.maximum(there.sum(-1), 1), np.inf)


def _nearest_of(apart: Floats, labels: Ids, to: Ids) -> Rows:
    """Return the nearest row of the label `to` (Q,) of each query, -1 if there is none."""
    near = np.where(labels == to[:, None], apart, np.inf)
    row = near.argmin(1)
    return np.where(np.isfinite(near[np.arange(len(row)), row]), row, -1)


def _known(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)
