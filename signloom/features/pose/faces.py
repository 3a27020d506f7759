"""Count the faces in pictures, because the tracker reads one person and does not say if there are more."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.mediapipe_start import mediapipe_start

_CONFIDENCE = 0.5
# a face of less than a third of the tallest one's height is three times as far away, or a picture on the
# wall, and the tracker does not take it for the person; an interpreter beside a speaker is larger
_TINY = 1 / 3
# in one frame of some hundred, a hand is taken for a face
_FRAMES = 2


class FaceFinder:
    """MediaPipe's face detector for people up to about five metres away; use it in a `with` block."""

    def __init__(self) -> None:
        """Build the graph; MediaPipe's wheel contains the model."""
        with mediapipe_start():
            from mediapipe.python.solutions.face_detection import FaceDetection

            self._graph = FaceDetection(min_detection_confidence=_CONFIDENCE, model_selection=1)

    def count(self, image: NDArray[np.uint8]) -> int:
        """Return the number of faces in an RGB picture (height, width, 3) that are not tiny."""
        found = self._graph.process(image).detections or []
        return count_large([face.location_data.relative_bounding_box.height for face in found])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._graph.close()


def count_large(heights: Sequence[float]) -> int:
    """Return how many of `heights` are at least a third of the largest one."""
    return sum(height >= _TINY * max(heights) for height in heights)


def first_company(counts: Sequence[int]) -> int | None:
    """Return the first of the looked-at frames of a clip that shows several faces, or None.

    `counts` is the number of faces in each. Two such frames are needed, or one if no more was looked at.
    """
    several = [frame for frame, count in enumerate(counts) if count > 1]
    return several[0] if several and len(several) >= min(_FRAMES, len(counts)) else None
