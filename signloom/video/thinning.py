"""Fewer frames of a clip, chosen by their times."""

import math
from collections.abc import Iterable, Iterator

from signloom.video.decode import Frame

# two times that a file rounds to milliseconds are up to 1 ms too near to each other
ROUNDING_S = 1.1e-3


class Thinner:
    """Choose at most `max_fps` frames a second of one clip (None: every frame), the first one included."""

    def __init__(self, max_fps: float | None) -> None:
        self._max_fps = max_fps
        self._first_s: float | None = None
        self._due = 0  # of the even times that begin with the first frame, the one that is next

    def takes(self, time_s: float) -> bool:
        """Return whether to take the frame at `time_s`; call it once for every frame, in their order."""
        if self._max_fps is None:
            return True
        if self._first_s is None:
            self._first_s = time_s
        place = (time_s - self._first_s + ROUNDING_S) * self._max_fps
        if place < self._due:
            return False
        self._due = math.floor(place) + 1
        return True


def thinned(frames: Iterable[Frame], max_fps: float | None) -> Iterator[Frame]:
    """Yield at most `max_fps` of `frames` a second; see `Thinner`."""
    thinner = Thinner(max_fps)
    return (frame for frame in frames if thinner.takes(frame.time_s))
