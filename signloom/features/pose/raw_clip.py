"""The landmarks of one clip as a tracker or a file gives them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose import layout

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
