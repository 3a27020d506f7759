"""Resample, crop and group the frames of a clip into sliding windows; memory holds one window."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from signloom.video.decode import Frame
from signloom.video.thinning import ROUNDING_S

T = TypeVar("T")
Picture = NDArray[np.uint8]


def resampled(frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
    """Yield the nearest frame for every time of a grid, 1 / `fps` s apart, from first to last frame.

    Frames are repeated or dropped as they arrive; of two equally near frames the earlier one is taken. The
    grid is the same as in `signloom.features.pose.resample`, so that rows of both kinds of features line up.
    """
    start = time_s = math.nan
    before: Frame | None = None
    count = 0
    for frame in frames:
        if before is None:
            start = time_s = frame.time_s
        else:
            middle = (before.time_s + frame.time_s) / 2
            while time_s <= middle:
                yield before
                count += 1
                time_s = start + count / fps
        before = frame
    if before is not None:
        last = math.floor((before.time_s - start + ROUNDING_S) * fps)
        for _ in range(count, last + 1):
            yield before


class Cropper:
    """Resizes pictures of one size so that the shorter side has `resize` pixels, and cuts out the middle.

    A picture is shrunk by averaging over areas and enlarged by linear interpolation.
    """

    def __init__(self, height: int, width: int, resize: int, crop: int) -> None:
        """Prepare for pictures (`height`, `width`) and a square of side `crop`, which is at most `resize`."""
        short = min(height, width)
        self.size = (max(crop, round(height * resize / short)), max(crop, round(width * resize / short)))
        self._grows = resize > short
        self._top, self._bottom, top = _span(height, self.size[0], crop, self._grows)
        self._left, self._right, left = _span(width, self.size[1], crop, self._grows)
        rows = (self._bottom - self._top) * self.size[0] // height
        columns = (self._right - self._left) * self.size[1] // width
        self._shape = (columns, rows)
        self._inside = (slice(top, top + crop), slice(left, left + crop))

    def __call__(self, image: Picture) -> Picture:
        """Return the middle (crop, crop, 3) of the resized `image`."""
        # resizing only the kept part gives the same pixels and is several times faster
        part = image[self._top : self._bottom, self._left : self._right]
        method = cv2.INTER_LINEAR if self._grows else cv2.INTER_AREA
        small: Picture = np.asarray(cv2.resize(part, self._shape, interpolation=method), np.uint8)
        return np.ascontiguousarray(small[self._inside])


def _span(source: int, target: int, crop: int, whole: bool) -> tuple[int, int, int]:
    """Return first and last (exclusive) source pixel to resize, and where the crop begins in the result.

    At both ends a source pixel's edge meets a target pixel's edge, so resizing the part gives the same pixels
    as resizing everything and then cutting. With `whole`, the part is the whole source.
    """
    first = (target - crop) // 2
    if whole:
        return 0, source, first
    blocks = math.gcd(source, target)
    per_target, per_source = target // blocks, source // blocks
    low, high = first // per_target, -(-(first + crop) // per_target)
    return low * per_source, high * per_source, first - low * per_target


def window_count(frames: int, stack: int, step: int) -> int:
    """Return the number of windows of a clip of `frames` frames (at least 1)."""
    return 1 + math.ceil(max(frames - stack, 0) / step)


def windows(items: Iterable[T], stack: int, step: int) -> Iterator[list[T]]:
    """Yield windows of `stack` successive items, one every `step` items, while `items` arrive.

    Window r holds items r * step to r * step + stack - 1; the last item is repeated beyond the end. There are
    `window_count` windows, or none if there is no item. At most `stack` items are held.
    """
    held: deque[T] = deque(maxlen=stack)
    for count, item in enumerate(completed(items, stack, step), start=1):
        held.append(item)
        if count >= stack and (count - stack) % step == 0:
            yield list(held)


def completed(items: Iterable[T], stack: int, step: int) -> Iterator[T]:
    """Yield `items`, then repeat the last one until the last window of the clip is complete."""
    frames = 0
    for item in items:
        yield item
        frames += 1
    if frames:
        missing = (window_count(frames, stack, step) - 1) * step + stack - frames
        yield from repeat(item, missing)
