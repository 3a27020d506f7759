"""Cut a turned square out of a picture."""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.holistic.rects import Points, Rect, Single, Size, cos, sin

_STEPS = 32  # of a pixel: OpenCV 3's bilinear sampling, which is in MediaPipe, rounds places to these
_BLOCK = 64  # columns that OpenCV computes from one start, which rounds alike
_FAR = 32767 * _STEPS


class Region(NamedTuple):
    """Centre, sides and clockwise angle of a part of the picture in pixels and radians."""

    x: np.float32
    y: np.float32
    width: np.float32
    height: np.float32
    angle: np.float32


class Cut(NamedTuple):
    """A part of a picture (side, side, 3), which the next cut overwrites, and where it lies.

    The pads are the shares of the cut, left and above, that were added to the rectangle to make it a square.
    """

    picture: NDArray[np.uint8]
    region: Region
    size: Size
    pad_x: np.float32
    pad_y: np.float32

    def unpadded(self, points: Points) -> Points:
        """Return points (N, 2 or 3) in shares of the cut as shares of the rectangle that was asked for."""
        across, down = 1 - (self.pad_x + self.pad_x), 1 - (self.pad_y + self.pad_y)
        result = points.copy()
        result[:, 0] = (points[:, 0] - self.pad_x) / across
        result[:, 1] = (points[:, 1] - self.pad_y) / down
        result[:, 2:] = points[:, 2:] / across
        return result

    def to_picture(self, points: Points) -> Points:
        """Return points (N, 2) in shares of the cut as shares of the picture."""
        x, y, width, height, angle = self.region
        turn_x, turn_y, half = cos(angle), sin(angle), Single(0.5)
        share_x, share_y = 1 / self.size.width, 1 / self.size.height
        left = (-half * width * turn_x + half * height * turn_y + x) * share_x
        top = (-half * height * turn_x - half * width * turn_y + y) * share_y
        columns = (width * turn_x * share_x, -height * turn_y * share_x, left)
        rows = (width * turn_y * share_y, height * turn_x * share_y, top)
        return np.stack([points[:, 0] * a + points[:, 1] * b + c for a, b, c in (columns, rows)], axis=1)


class Cutter:
    """Cuts squares of `side` pixels.

    With `black` whatever lies outside the picture is black, else it repeats the picture's edge. Without
    `square` a rectangle is stretched into the cut.
    """

    def __init__(self, side: int, *, black: bool = False, square: bool = True) -> None:
        self._square = square
        self._border = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
        self._corners = np.array([[0, side], [0, 0], [side, 0], [side, side]], np.float32)
        width = -(-side // _BLOCK) * _BLOCK
        self._rows, self._columns = np.arange(side)[:, None], np.arange(width)
        # kept from cut to cut, because new memory costs more than the sums
        self._share, self._places = np.empty((side, width)), np.empty((side, width))
        self._fixed = [np.empty((side, width), np.int32) for _ in "xy"]
        self._whole = np.empty((side, side, 2), np.int16)
        self._parts = np.empty((side, side), np.uint16)
        self._picture = np.empty((side, side, 3), np.uint8)

    def __call__(self, image: NDArray[np.uint8], rect: Rect | None) -> Cut:
        """Cut `rect`, None for the whole picture, out of an RGB picture (height, width, 3)."""
        size = Size(Single(image.shape[1]), Single(image.shape[0]))
        region = _region(rect, size)
        pads = (Single(0), Single(0))
        if self._square:
            region, pads = _padded(region)
        back = cv2.invert(cv2.getPerspectiveTransform(_corners(region), self._corners))[1]
        # the corners are single precision, so the map is not quite affine
        np.divide(_STEPS, self._plane(back[2], self._share), out=self._share)
        for axis, fixed in enumerate(self._fixed):
            self._fill(fixed, back[axis])
            np.right_shift(fixed[:, : len(fixed)], 5, out=self._whole[..., axis], casting="unsafe")
        columns, rows = (fixed[:, : len(fixed)] for fixed in self._fixed)
        np.bitwise_and(columns, 31, out=columns)
        np.left_shift(np.bitwise_and(rows, 31, out=rows), 5, out=rows)
        np.bitwise_or(columns, rows, out=self._parts, casting="unsafe")
        maps = (self._whole, self._parts)
        # a picture of another kind than `_picture` gets an array of its own
        picture = cv2.remap(image, *maps, cv2.INTER_LINEAR, dst=self._picture, borderMode=self._border)
        return Cut(np.asarray(picture, np.uint8), region, size, *pads)

    def _fill(self, fixed: NDArray[np.int32], line: NDArray[np.float64]) -> None:
        """Write one coordinate of every place of the cut in 32nds of a pixel into `fixed` (side, width)."""
        places = np.multiply(self._plane(line, self._places), self._share, out=self._places)
        if np.abs(places[:: len(places) - 1, :: len(places) - 1]).max() >= _FAR:
            np.clip(places, -_FAR, _FAR, out=places)  # what OpenCV's maps can hold
        np.copyto(fixed, np.rint(places, out=places), casting="unsafe")

    def _plane(self, line: NDArray[np.float64], out: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a x + b y + c of every place of the cut (side, width) in `out`."""
        a, b, c = line
        starts = a * self._columns[::_BLOCK] + b * self._rows + c
        np.add(starts[:, :, None], a * self._columns[:_BLOCK], out=out.reshape(len(out), -1, _BLOCK))
        return out


def _region(rect: Rect | None, size: Size) -> Region:
    if rect is None:
        return Region(size.width / 2, size.height / 2, size.width, size.height, Single(0))
    width, height = rect.width * size.width, rect.height * size.height
    return Region(rect.x * size.width, rect.y * size.height, width, height, rect.angle)


def _padded(region: Region) -> tuple[Region, tuple[np.float32, np.float32]]:
    """Return the square around a region, and the shares of it that were added left and above."""
    aspect = region.height / region.width
    if aspect < 1:
        return region._replace(height=region.width), (Single(0), (1 - aspect) / 2)
    return region._replace(width=region.height), ((1 - 1 / aspect) / 2, Single(0))


def _corners(region: Region) -> NDArray[np.float32]:
    """Return the corners (4, 2) of a region, from below on the left to above, if it is not turned."""
    x, y, width, height, angle = region
    degrees = Single(float(angle * Single(180)) / math.pi)
    radians = float(degrees) * math.pi / 180
    a, b = Single(math.sin(radians)) * Single(0.5), Single(math.cos(radians)) * Single(0.5)
    first = (x - a * height - b * width, y + b * height - a * width)
    second = (x + a * height - b * width, y - b * height - a * width)
    opposite = [(2 * x - corner[0], 2 * y - corner[1]) for corner in (first, second)]
    return np.array([first, second, *opposite], np.float32)
