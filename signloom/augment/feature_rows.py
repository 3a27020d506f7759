"""Augment feature rows of any source: pure functions of rows, parameters and a generator.

Rows are (T, D) with T at least 1; a missing value is NaN. Masks are (T, M). Nothing is cropped, so that no
gloss leaves a clip, and nothing is flipped.
"""

import math
import sys
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from signloom.augment.landmark_rows import LANDMARK_COLUMNS, augment, augment_time
from signloom.params.features import ColumnLayout
from signloom.params.gloss import GlossAugmentParams, GlossPositionsParams
from signloom.params.sign2text import AugmentParams

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[Any]  # presence, as bits or as shares


class Geometry(NamedTuple):
    """What is known of the columns of rows that are no landmarks."""

    unit: Array | float = 1.0  # (D,), what noise is measured in, such as the deviation of each column
    layout: ColumnLayout = ColumnLayout()

    @property
    def turns(self) -> bool:
        """Whether a body can be turned about its vertical axis, for which directions need a depth."""
        return self.layout.vectors > 0 and self.layout.dimensions == 3


NO_GEOMETRY = Geometry()


def augment_pose(
    values: Array,
    mask: Mask,
    params: AugmentParams,
    rng: np.random.Generator,
    geometry: Geometry = NO_GEOMETRY,
) -> tuple[Array, Mask]:
    """Return an augmented copy of pose features, or of given rows of another width in their place."""
    if values.shape[1] == LANDMARK_COLUMNS:
        return augment(values, mask, params, rng)
    return augment_rows(values, mask, params, rng, geometry)


def augment_rows(
    values: Array,
    mask: Mask,
    params: AugmentParams,
    rng: np.random.Generator,
    geometry: Geometry = NO_GEOMETRY,
) -> tuple[Array, Mask]:
    """Return rows of any layout after time warp, frame dropout, shift and noise; at least one row.

    Only the columns that are directions in space are turned and stretched. Other known columns, such as the
    bend of a finger, are stretched and moved, each on its own.
    """
    values, mask = augment_time(values, mask, params, rng)
    if geometry.layout.vectors:
        values = _augment_vectors(values, params, rng, geometry)
    if any(geometry.layout.others) and rng.random() < params.body_p:
        values = _augment_others(values, params.body, rng, geometry)
    if rng.random() < params.noise_p:
        values = add_noise(values, params.noise * geometry.unit, rng)
    return values, mask


def _augment_vectors(values: Array, params: AugmentParams, rng: np.random.Generator, g: Geometry) -> Array:
    """Return rows whose directions are stretched along each axis and turned about the vertical axis."""
    count = g.layout.vectors
    vectors = values[:, :count].reshape(len(values), -1, g.layout.dimensions)
    if rng.random() < params.body_p:
        scale = rng.uniform(1 - params.body, 1 + params.body, g.layout.dimensions)
        vectors = vectors * scale.astype(np.float32)
    if rng.random() < params.rotation_p and g.turns:
        angle = math.radians(rng.uniform(-params.rotation, params.rotation))
        vectors = vectors @ _about_vertical(angle)
    return np.concatenate([vectors.reshape(len(values), count), values[:, count:]], axis=1)


def _augment_others(values: Array, amount: float, rng: np.random.Generator, g: Geometry) -> Array:
    """Return rows whose other columns have the range and the zero of another signer or sensor.

    Each is scaled by 1 +- `amount`, with its velocity, and moves by a constant offset with the deviation
    `amount`, in units of the column.
    """
    unit = np.broadcast_to(g.unit, values.shape[1])
    values, first = values.copy(), g.layout.vectors
    for count in g.layout.others:
        columns = slice(first, first + count)
        scale = rng.uniform(1 - amount, 1 + amount, count).astype(np.float32)
        values[:, first : first + 2 * count] *= np.tile(scale, 2)
        values[:, columns] += rng.normal(0, amount, count).astype(np.float32) * unit[columns]
        first += 2 * count
    return values


def _about_vertical(angle: float) -> Array:
    """Return the matrix (3, 3) that turns rows of x, y and z by `angle` radians about the axis y."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]], np.float32)


def warn_of_layout(section: str, width: int, params: AugmentParams, geometry: Geometry = NO_GEOMETRY) -> None:
    """Say on stderr which augmentation of `section` does not apply to rows of `width` columns."""
    asked = {
        "rotation": params.rotation_p and not geometry.turns,
        "body": params.body_p and not geometry.layout.vectors and not any(geometry.layout.others),
    }
    without = [f"{section}.{name}" for name, wanted in asked.items() if wanted]
    if width != LANDMARK_COLUMNS and without:
        verb = "does" if len(without) == 1 else "do"
        print(
            f"note: rows of {width} columns are no landmarks: {' and '.join(without)} {verb} not apply, and "
            f"{section}.noise is a share of each column's deviation",
            file=sys.stderr,
        )


def augment_features(
    values: Array, mask: Mask, params: GlossAugmentParams, rng: np.random.Generator
) -> tuple[Array, Mask]:
    """Return an augmented copy of standardised rows: column dropout, noise, a time mask; T does not change.

    Rows must be standardised, because a hidden column or row becomes 0, the training mean.
    """
    if rng.random() < params.feature_dropout_p:
        values = drop_columns(values, params.feature_dropout, rng)
    if rng.random() < params.noise_p:
        values = add_noise(values, params.noise, rng)
    if rng.random() < params.time_mask_p:
        values, mask = mask_time(values, mask, params.time_mask, rng)
    return values, mask


def add_noise(values: Array, deviation: Array | float, rng: np.random.Generator) -> Array:
    """Add Gaussian noise of `deviation`, one for all columns or one for each (D,); NaN stays NaN."""
    return values + np.float32(deviation) * rng.standard_normal(values.shape, dtype=np.float32)


def drop_columns(values: Array, share: float, rng: np.random.Generator) -> Array:
    """Set each column to 0 for the whole clip with probability `share`.

    The other columns are divided by 1 - `share`, which keeps the expectation (Srivastava et al. 2014).
    """
    kept = rng.random(values.shape[1]) >= share
    return np.where(kept, values / np.float32(1 - share), np.float32(0))


def mask_time(values: Array, mask: Mask, longest: int, rng: np.random.Generator) -> tuple[Array, Mask]:
    """Hide a run of up to `longest` rows: values and mask become 0.

    It hides at most half of the clip, so that a clip of one row keeps it (Park et al. 2019, section 2, limit
    their masks in the same way).
    """
    values, mask = values.copy(), mask.copy()
    length = int(rng.integers(0, min(longest, len(values) // 2) + 1))
    start = int(rng.integers(0, len(values) - length + 1))
    values[start : start + length], mask[start : start + length] = 0, 0
    return values, mask


def mix_up(first: Array, second: Array, share: float) -> Array:
    """Return `share` * `first` (T1, D) + (1 - `share`) * `second` (T2, D); the shorter one is padded with 0.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018), equation 1. T is the longer length, so
    that both label sequences still fit.
    """
    x = np.zeros((max(len(first), len(second)), first.shape[1]), np.float32)
    x[: len(first)] += np.float32(share) * first
    x[: len(second)] += np.float32(1 - share) * second
    return x


def cut_mix(first: Array, second: Array, share: float, rng: np.random.Generator) -> tuple[Array, float]:
    """Replace a run of about 1 - `share` of the rows of `first` (T1, D) by rows of `second` (T2, D).

    Yun et al., "CutMix" (2019), section 3.1, applied to time. Returns (T1, D) and the exact share of `first`.
    """
    length = min(round((1 - share) * len(first)), len(second))
    to = int(rng.integers(0, len(first) - length + 1))
    source = int(rng.integers(0, len(second) - length + 1))
    x = first.copy()
    x[to : to + length] = second[source : source + length]
    return x, 1 - length / len(first)


def augment_positions(values: Array, params: GlossPositionsParams, rng: np.random.Generator) -> Array:
    """Augment columns of x and y in turn: one scale, angle and offset per clip, noise per value.

    Rows are in standard deviations. Scaling and rotation commute with differences, so velocity columns still
    match the position columns beside them.
    """
    if params.scale:
        values = scale_pairs(values, rng.uniform(1 - params.scale, 1 + params.scale, 2))
    if params.rotation:
        values = rotate_pairs(values, math.radians(rng.uniform(-params.rotation, params.rotation)))
    if params.shift:
        values = values.copy()
        values[:, : params.offset_columns] += rng.normal(0, params.shift, params.offset_columns)
    return add_noise(values, params.noise, rng) if params.noise else values


def scale_pairs(values: Array, factors: npt.NDArray[np.float64]) -> Array:
    """Multiply every x by the first of `factors` (2,) and every y by the second."""
    return values * np.tile(factors.astype(np.float32), values.shape[1] // 2)


def rotate_pairs(values: Array, angle: float) -> Array:
    """Rotate every pair by `angle` radians, from x to y; if one number is NaN, the result has NaN in both."""
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    x, y = values[:, ::2], values[:, 1::2]
    turned = np.empty_like(values)
    turned[:, ::2], turned[:, 1::2] = cos * x - sin * y, sin * x + cos * y
    return turned
