"""Track landmarks in pictures with MediaPipe's own graph."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.layout import RAW_DIM, RAW_PARTS
from signloom.features.pose.mediapipe_start import mediapipe_start
from signloom.params.features import LandmarksParams


class MediaPipeGraph:
    """One MediaPipe graph in tracking mode, with the interface of `tracker.HolisticTracker`."""

    def __init__(self, params: LandmarksParams) -> None:
        """Build the graph; MediaPipe's wheel contains the models."""
        with mediapipe_start():
            # a slow import, so only a process that tracks should do it
            from mediapipe.python.solutions.holistic import Holistic

            self._graph = Holistic(
                static_image_mode=False,
                model_complexity=params.model_complexity,
                min_detection_confidence=params.min_detection_confidence,
                min_tracking_confidence=params.min_tracking_confidence,
            )

    def restart(self) -> None:
        """Forget the last clip, so that the next results equal those of a new graph byte for byte."""
        self._graph.reset()

    def landmarks(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the landmarks (1662,) of an RGB picture (height, width, 3); an absent part is NaN.

        x and y are fractions of width and height, z has the scale of x; columns as in `layout.RAW_PARTS`.
        """
        found = self._graph.process(image)
        row = np.full(RAW_DIM, np.nan, np.float32)
        for part, columns in RAW_PARTS.items():
            points = getattr(found, f"{part}_landmarks")
            if points is not None:
                row[columns] = _flat(points.landmark, with_visibility=part == "pose")
        return row

    def close(self) -> None:
        """End the graph's threads."""
        self._graph.close()


def _flat(points: Any, with_visibility: bool) -> list[float]:
    if with_visibility:
        return [value for p in points for value in (p.x, p.y, p.z, p.visibility)]
    return [value for p in points for value in (p.x, p.y, p.z)]
