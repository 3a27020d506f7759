"""Features of clips whose rows hold points in space: relative to a body, in its size, with velocities."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.position_features import velocities
from signloom.params.features import PositionsParams

Array = NDArray[np.float64]


def point_columns(rows: Array, p: PositionsParams) -> Array:
    """Return the columns (T, D) made of `rows` (T, columns), a missing row being NaN.

    They are in this order: every point relative to the centre, every bone, the velocities of both, the other
    columns, and their velocities. Positions are in units of the sum of `lengths`, velocities in units a row;
    for velocities, missing rows are interpolated. y is the vertical axis. Raises SignloomError if a column
    is not there, or if the body has no size.
    """
    last = max([*(column for point in p.points for column in point.columns), *p.others])
    if last >= rows.shape[1]:
        raise SignloomError(f"positions: column {last} is missing; the rows have {rows.shape[1]}, from 0")
    used = [*(column for point in p.points for column in point.columns), *p.others]
    missing = np.isnan(rows[:, used]).any(axis=1)
    if missing.all():
        return np.full((len(rows), p.width), np.nan)
    if missing.any():
        rows = pd.DataFrame(rows).interpolate(limit_direction="both").to_numpy()
    points = {point.name: rows[:, point.columns] for point in p.points}
    size = _size(points, p)
    centre = points[p.centre] if p.centre else 0.0
    places = [(points[name] - centre) / size for name in points if name != p.centre]
    bones = [(points[end] - points[start]) / size for start, end in p.bones]
    moving = np.concatenate([rows[:, :0], *places, *bones], axis=1)
    others = rows[:, p.others]
    made = np.concatenate([moving, velocities(moving, p.span), others, velocities(others, p.span)], axis=1)
    made[missing] = np.nan
    return made


def _size(points: dict[str, Array], p: PositionsParams) -> float:
    """Return the sum of the median lengths of a clip, or 1 if none is named."""
    if not p.lengths:
        return 1.0
    lengths = [np.linalg.norm(points[end] - points[start], axis=1) for start, end in p.lengths]
    size = float(sum(np.median(length) for length in lengths))
    if not size > 0:
        pairs = ", ".join(" to ".join(pair) for pair in p.lengths)
        raise SignloomError(f"positions.lengths: the body has no size; all of {pairs} are 0")
    return size
