"""Files of ready landmarks, which stand in the table where a video does and need no tracker."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from signloom.dataset.probe import LANDMARK_SUFFIXES
from signloom.features.pose.raw_clip import RawClip
from signloom.video.thinning import Thinner

# reads the rows of a file from a start to an end (None: from or to its end), and its frames a second
Reader = Callable[[Path, float | None, float | None], tuple[RawClip, float]]


def _pose(path: Path, start_s: float | None, end_s: float | None) -> tuple[RawClip, float]:
    # its package comes with the extra `train`, and answers to videos work without it
    from signloom.features.pose.pose_files import read_pose

    return read_pose(path, start_s, end_s)


READERS: dict[str, Reader] = dict(zip(LANDMARK_SUFFIXES, (_pose,), strict=True))


def holds_landmarks(path: Path) -> bool:
    """Return whether `path` is a file of landmarks, by its suffix."""
    return path.suffix.lower() in READERS


def read_landmarks(
    path: Path, start_s: float | None = None, end_s: float | None = None, max_fps: float | None = None
) -> tuple[RawClip, float]:
    """Return the landmarks of a file and its frames a second, of which at most `max_fps` are taken.

    Raises VideoUnreadable if the file cannot be read or has no frame in that time.
    """
    raw, fps = READERS[path.suffix.lower()](path, start_s, end_s)
    thinner = Thinner(max_fps)
    taken = np.array([thinner.takes(time_s) for time_s in raw.times.tolist()])
    return RawClip(raw.rows[taken], raw.times[taken], raw.frame_index[taken], raw.width, raw.height), fps
