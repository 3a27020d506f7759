"""Track landmarks in pictures with MediaPipe's own graph."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.layout import RAW_DIM, RAW_PARTS
from signloom.features.pose.mediapipe_start import mediapipe_start
from signloom.params.features import LandmarksParams

_MODELS = {0: "pose_landmark_lite.tflite", 2: "pose_landmark_heavy.tflite"}  # those that the wheel lacks


def demand_model(params: LandmarksParams) -> None:
    """Raise SignloomError if the model that `params` name is not there.

    MediaPipe would fetch it unchecked, and several processes at once into the same file.
    """
    spec = find_spec("mediapipe")
    if params.engine != "mediapipe" or params.model_complexity not in _MODELS or not spec or not spec.origin:
        return
    model = Path(spec.origin).parent / "modules/pose_landmark" / _MODELS[params.model_complexity]
    if not model.exists():
        raise SignloomError(
            f"landmarks.model_complexity {params.model_complexity}: MediaPipe comes without its model; "
            f"set it to 1, or put the model there as {model}"
        )


class MediaPipeGraph:
    """One MediaPipe graph in tracking mode, with the interface of `tracker.HolisticTracker`."""

    def __init__(self, params: LandmarksParams) -> None:
        """Build the graph; raises SignloomError if its model is not there."""
        demand_model(params)
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
