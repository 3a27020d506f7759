"""The landmarks of one clip as a tracker or a file gives them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose import layout
from signloom.video.decode import TIME_SLACK_S, VideoUnreadable

# the pose landmarks by which a body is placed and measured
TORSO = (*layout.SHOULDERS, *layout.HIPS)


@dataclass(frozen=True)
class RawClip:
    """The landmarks of one clip: `rows` (n, 1662), `times` (n,) in seconds, size in pixels."""

    rows: NDArray[np.float32]
    times: NDArray[np.float64]
    frame_index: NDArray[np.int64]
    width: int
    height: int


def frames_between(count: int, fps: float, start_s: float | None, end_s: float | None) -> range:
    """Return which of `count` frames, `fps` a second, a video would give from `start_s` to `end_s`.

    None: from or to the end. Raises VideoUnreadable if there is no such frame.
    """
    start = start_s or 0.0
    first = max(0, math.ceil((start - TIME_SLACK_S) * fps))
    stop = count if end_s is None else min(count, math.ceil((end_s - TIME_SLACK_S) * fps))
    if first >= stop:
        until = math.inf if end_s is None else end_s
        raise VideoUnreadable(f"no frame between {start:g} s and {until:g} s; the file has {count}")
    return range(first, stop)


def clip_of(
    rows: NDArray[np.float32], numbers: range, fps: float, start_s: float | None, size: tuple[int, int]
) -> RawClip:
    """Return `rows` of the frames `numbers`, `fps` a second, of pictures of `size` as one clip."""
    frames = np.array(numbers, np.int64)
    return RawClip(rows, frames / fps - (start_s or 0.0), frames, *size)
