"""Choose between the rectangle where a part was in the last frame and the one where it is expected now."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.holistic.rects import Points, Rect, Size, normal_angle


class Limits(NamedTuple):
    """How far the last rectangle may be from the expected one.

    Translation and scale are shares of the expected sides, along its axes. The last landmarks have to be
    inside the expected rectangle when `margin`, a share of its sides, is added to it.
    """

    degrees: float
    translation: float
    scale: float
    margin: float


class Last(NamedTuple):
    """The landmarks (N, 2) of a part in the last frame, and the rectangle around them."""

    points: Points
    rect: Rect


def followed(last: Last | None, expected: Rect, limits: Limits, size: Size) -> Rect:
    """Return the rectangle in which to look for a part."""
    if last is None or not _similar(last.rect, expected, limits, size):
        return expected
    share = (1 + limits.margin) / 2
    return last.rect if (np.abs(_within(last.points, expected, size)) <= share).all() else expected


def _similar(last: Rect, expected: Rect, limits: Limits, size: Size) -> bool:
    moved = np.abs(_within(np.array([[last.x, last.y]]), expected, size))
    sides = np.array([last.width / expected.width, last.height / expected.height])
    return bool(
        math.degrees(abs(normal_angle(last.angle - expected.angle))) <= limits.degrees
        and (moved <= limits.translation).all()
        and (np.abs(sides - 1) <= limits.scale).all()
    )


def _within(points: Points, rect: Rect, size: Size) -> NDArray[np.float64]:
    """Return points (N, 2) in shares of a rectangle's sides from its centre, along its axes."""
    across, down = math.cos(rect.angle), math.sin(rect.angle)
    dx, dy = ((points - (rect.x, rect.y)) * np.array(size, np.float64)).T
    x, y = across * dx + down * dy, across * dy - down * dx
    return np.stack([x / (rect.width * size.width), y / (rect.height * size.height)], axis=1)
