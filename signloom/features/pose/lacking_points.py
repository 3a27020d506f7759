"""A whole pose from the points that a file has."""

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.raw_clip import TORSO

Array = NDArray[np.float64]


def whole_pose(values: Array, seen: Array, there: NDArray[np.bool_], ever: NDArray[np.bool_]) -> Array:
    """Return the pose (n, 33, 4) with a place for points that are not `there` (n, 33).

    They lie in the middle of the torso, so that they are 0 in the features. A point that the file lacks gets
    the mean visibility of the others, so that gates judge by what the file holds.
    """
    middle = values[:, TORSO].mean(axis=1, keepdims=True)
    mean = seen[:, ever].mean(axis=1, keepdims=True)
    visibility = np.where(ever, np.where(there, seen, 0.0), mean)
    pose = np.concatenate([np.where(there[..., None], values, middle), visibility[..., None]], axis=-1)
    known = np.asarray(there[:, TORSO].all(axis=1) & (seen > 0).any(axis=1))
    pose[~known] = np.nan
    return pose
