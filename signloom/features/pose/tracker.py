"""Track landmarks in pictures with MediaPipe Holistic."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.holistic.tracker import OwnTracker
from signloom.features.pose.mediapipe_graph import MediaPipeGraph
from signloom.params.features import LandmarksParams


class HolisticTracker:
    """Tracks in MediaPipe's way, by the engine that the parameters name; call `restart` before every clip."""

    def __init__(self, params: LandmarksParams) -> None:
        """Read the models, which MediaPipe's wheel contains."""
        self._engine = MediaPipeGraph(params) if params.engine == "mediapipe" else OwnTracker(params)

    def restart(self) -> None:
        """Forget the last clip, so that the next results equal those of a new tracker byte for byte."""
        self._engine.restart()

    def landmarks(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the landmarks (1662,) of an RGB picture (height, width, 3); an absent part is NaN.

        x and y are fractions of width and height, z has the scale of x; columns as in `layout.RAW_PARTS`.
        Raises SignloomError for a picture of another kind.
        """
        check_picture(image)
        return self._engine.landmarks(image)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._engine.close()


def check_picture(image: NDArray[np.uint8], name: str = "the picture") -> None:
    """Raise SignloomError if `image` is no RGB picture (height, width, 3) of uint8; `name` says which."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise SignloomError(
            f"{name} is {image.dtype} of shape {image.shape}; convert it to RGB, uint8 (height, width, 3)"
        )
