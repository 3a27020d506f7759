"""Augment columns that are pairs of x and y: pure functions of rows, parameters and a generator.

Rows are (T, D) with even D, in standard deviations; a missing value is NaN. Scaling and rotation commute with
differences, so velocity columns still match the position columns beside them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from signloom.augment.features import add_noise
from signloom.params.gloss import GlossPositionsParams

Array = npt.NDArray[np.float32]


def augment_positions(values: Array, params: GlossPositionsParams, rng: np.random.Generator) -> Array:
    """Return an augmented copy (T, D) of `values`: one scale, angle and offset per clip, noise per value."""
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
