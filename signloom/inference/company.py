"""Whom the tracker read where several people are in the picture: it reads one and does not say which."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from signloom.dataset.probe import length_s
from signloom.features.pose.faces import first_company
from signloom.features.pose.layout import NOSE, RAW_PARTS
from signloom.features.pose.raw_clip import RawClip
from signloom.inference.answer import Company
from signloom.video.decode import Frame
from signloom.video.thinning import Thinner

_FRAMES, _AT_LEAST_S = 5, 0.5
_NOSE_X = RAW_PARTS["pose"].start + 4 * NOSE


class FaceCounter(Protocol):
    """What counts the faces in a picture, as `faces.FaceFinder` does."""

    def count(self, image: NDArray[np.uint8]) -> int:
        """Return the number of faces in an RGB picture (height, width, 3)."""


class Look:
    """A look at about five frames of one clip; a clip of unknown length is looked at once a second."""

    def __init__(
        self, faces: FaceCounter | None, path: Path, start_s: float | None, end_s: float | None
    ) -> None:
        """Prepare for the clip of `path` from `start_s` to `end_s`; without `faces` nothing is looked at."""
        self._faces = faces
        length = (end_s or length_s(path) or _FRAMES) - (start_s or 0.0)
        self._thinner = Thinner(1 / max(_AT_LEAST_S, length / _FRAMES))
        self._times: list[float] = []
        self._counts: list[int] = []
        self._passage: RawClip | None = None

    def through(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield `frames`, and count the faces in some of them."""
        for frame in frames:
            if self._faces and self._thinner.takes(frame.time_s):
                self._times.append(frame.time_s)
                self._counts.append(self._faces.count(frame.image))
            yield frame

    def keep(self, passage: RawClip) -> None:
        """Keep the landmarks of the first passage of a long video that ends after several faces were seen."""
        if self._passage is None and any(count > 1 for count in self._counts):
            self._passage = passage

    def company(self, raw: RawClip | None = None) -> Company | None:
        """Return the first company that was seen; `raw` are the clip's landmarks, else the kept passage's."""
        frame, raw = first_company(self._counts), raw or self._passage
        if frame is None or raw is None:
            return None
        time_s = self._times[frame]
        nose = raw.rows[np.abs(raw.times - time_s).argmin(), _NOSE_X]
        return Company(self._counts[frame], time_s, third(float(nose)))


def third(x: float) -> str | None:
    """Return the third of the picture, left, middle or right, in which share `x` of its width lies.

    The tracker places points outside the picture too. None if `x` is NaN.
    """
    if np.isnan(x):
        return None
    return "left" if x < 1 / 3 else "middle" if x <= 2 / 3 else "right"
