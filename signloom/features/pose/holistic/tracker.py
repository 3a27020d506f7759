"""Track body, hands and face in pictures."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.holistic.body import BodyTracker
from signloom.features.pose.holistic.face import FaceTracker
from signloom.features.pose.holistic.hand import LEFT, RIGHT, HandNetworks, HandTracker
from signloom.features.pose.holistic.rects import Single, Size
from signloom.features.pose.layout import RAW_DIM, RAW_PARTS


class OwnTracker:
    """One clip after another; call `restart` before every clip."""

    def __init__(self, min_detection: float, min_tracking: float) -> None:
        """Read the models; the numbers are the least scores of a person that is found, and that is followed."""
        networks = HandNetworks()
        self._body = BodyTracker(min_detection, min_tracking)
        self._parts = {
            "left_hand": HandTracker(networks, LEFT),
            "right_hand": HandTracker(networks, RIGHT),
            "face": FaceTracker(),
        }

    def restart(self) -> None:
        """Forget the last clip."""
        for part in (self._body, *self._parts.values()):
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Keep the interface of MediaPipe's graph, which has to be closed."""
