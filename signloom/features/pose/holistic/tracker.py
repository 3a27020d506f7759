"""Track body, hands and face in pictures."""

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.holistic.body import BodyTracker
from signloom.features.pose.holistic.face import FaceTracker
from signloom.features.pose.holistic.hand import LEFT, RIGHT, HandNetworks, HandTracker
from signloom.features.pose.holistic.rects import Single, Size
from signloom.features.pose.layout import RAW_DIM, RAW_PARTS
from signloom.params.features import LandmarksParams


class OwnTracker:
    """Signloom's own steps over MediaPipe's models, with the interface of `tracker.HolisticTracker`."""

    def __init__(self, params: LandmarksParams) -> None:
        """Read the models."""
        networks = HandNetworks()
        self._body = BodyTracker(params.min_detection_confidence, params.min_tracking_confidence)
        self._parts: dict[str, HandTracker | FaceTracker] = {
            "left_hand": HandTracker(networks, LEFT),
            "right_hand": HandTracker(networks, RIGHT),
            "face": FaceTracker(),
        }

    def restart(self) -> None:
        """Forget the last clip."""
        self._body.restart()
        for part in self._parts.values():
            part.restart()

    def landmarks(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the landmarks (1662,) of an RGB picture (height, width, 3); an absent part is NaN.

        x and y are fractions of width and height, z has the scale of x; columns as in `layout.RAW_PARTS`.
        """
        image = np.ascontiguousarray(image)
        size = Size(Single(image.shape[1]), Single(image.shape[0]))
        row = np.full(RAW_DIM, np.nan, np.float32)
        body = self._body(image, size)
        found = {"pose": body, **{name: part(image, size, body) for name, part in self._parts.items()}}
        for name, points in found.items():
            if points is not None:
                row[RAW_PARTS[name]] = points.reshape(-1)
        return row

    def close(self) -> None:
        """Do nothing: unlike MediaPipe's graph, this tracker has no threads."""
