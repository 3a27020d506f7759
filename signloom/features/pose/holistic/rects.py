"""Turned rectangles in a picture, and landmarks that move between the picture and a square cut from it.

Lengths are shares of the picture's width and height, in single precision, and are rounded where MediaPipe
rounds them. A cut rounds places to 1/32 of a pixel, so a millionth more or less changes what a network sees.
"""

import ctypes
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Single = np.float32
Points = NDArray[np.float32]


class Size(NamedTuple):
    """Width and height of a picture in pixels."""

    width: np.float32
    height: np.float32


class Rect(NamedTuple):
    """Centre and sides of a rectangle in shares of the picture, turned clockwise by `angle` in radians."""

    x: np.float32
    y: np.float32
    width: np.float32
    height: np.float32
    angle: np.float32

    @property
    def empty(self) -> bool:
        """Whether it has no area that could be cut out."""
        return not (self.width > 0 and self.height > 0)

    def squared(self, size: Size, scale: float, shift_y: float = 0.0) -> "Rect":
        """Return the square, in pixels, of `scale` times the longer side; `shift_y` is a share of the height.

        The shift is along the rectangle's own axis, downwards.
        """
        shift = size.height * self.height * Single(shift_y)
        x, y = self.x, self.y
        if self.angle == 0:
            y = y + self.height * Single(shift_y)
        else:
            x = x + -shift * sin(self.angle) / size.width
            y = y + shift * cos(self.angle) / size.height
        side = max(self.width * size.width, self.height * size.height)
        return Rect(x, y, side / size.width * Single(scale), side / size.height * Single(scale), self.angle)


def _c_function(name: str, arguments: int) -> Callable[..., float] | None:
    """Return a function of the C library for single precision, where it can be had."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float] * arguments
    return function  # type: ignore[no-any-return]


# MediaPipe calls these; the last bit differs from that of Python's functions
_COS, _SIN = _c_function("cosf", 1) or math.cos, _c_function("sinf", 1) or math.sin
_ATAN2 = _c_function("atan2f", 2) or math.atan2
_EXP = _c_function("expf", 1) or math.exp
_NEARLY = 0.01


def cos(angle: np.float32) -> np.float32:
    """Return the cosine in single precision."""
    return Single(_COS(angle))


def sin(angle: np.float32) -> np.float32:
    """Return the sine in single precision."""
    return Single(_SIN(angle))


def angle_between(start: Points, end: Points, target_degrees: float) -> np.float32:
    """Return how far a line from `start` to `end`, pixels (2,), is turned from `target_degrees`, in radians.

    Degrees count against the clock from the x axis, and the result with the clock; it is in [-pi, pi).
    """
    dx, dy = end - start
    return normal_angle(Single(math.radians(target_degrees)) - Single(_ATAN2(-dy, dx)))


def normal_angle(angle: np.float32) -> np.float32:
    """Return the same angle in [-pi, pi)."""
    full, wide = 2 * math.pi, float(angle)
    return Single(wide - full * math.floor((wide + math.pi) / full))


def distance(start: Points, end: Points) -> np.float32:
    """Return the distance of two points (2,)."""
    dx, dy = end - start
    return Single(np.sqrt(dx * dx + dy * dy))


def around_alignment(centre: Points, reach: Points, target_degrees: float, size: Size) -> Rect:
    """Return the square around a point that reaches as far as another; both are shares (2,)."""
    middle, end = centre * size, reach * size
    side = Single(2 * distance(middle, end))
    angle = angle_between(middle, end, target_degrees)
    return Rect(middle[0] / size.width, middle[1] / size.height, side / size.width, side / size.height, angle)


def to_picture(points: Points, rect: Rect) -> Points:
    """Return landmarks (N, 2 or 3) in shares of a rectangle as shares of the picture; z scales with x."""
    turn_x, turn_y = cos(rect.angle), sin(rect.angle)
    x, y = points[:, 0] - Single(0.5), points[:, 1] - Single(0.5)
    result = points.copy()
    result[:, 0] = (turn_x * x - turn_y * y) * rect.width + rect.x
    result[:, 1] = (turn_y * x + turn_x * y) * rect.height + rect.y
    result[:, 2:] = points[:, 2:] * rect.width
    return result


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + e^-x) in single precision."""
    with np.errstate(over="ignore"):
        wide = np.exp(-values.astype(np.float64))
        powers = wide.astype(np.float32)
    # the C library may round the other way where the value is nearly in the middle of two
    offset = np.abs(wide - powers) / np.spacing(powers)
    for place in np.argwhere(np.abs(offset - 0.5) < _NEARLY):
        powers[tuple(place)] = _EXP(-values[tuple(place)])
    return Single(1) / (Single(1) + powers)
