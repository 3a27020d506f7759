"""Files of ready landmarks, which stand in the table where a video does and need no tracker."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from signloom.dataset.landmark_openers import LandmarksUnreadable
from signloom.dataset.landmark_sources import UNSET, Kind, Settings, kind_of
from signloom.features.pose.keypoints import read_openpose, read_whole_body
from signloom.features.pose.point_rows import read_rows
from signloom.features.pose.raw_clip import RawClip
from signloom.video.decode import VideoUnreadable
from signloom.video.thinning import Thinner

# reads the rows of a clip from a start to an end (None: from or to its end), and its frames a second
Reader = Callable[[Path, Settings, float | None, float | None], tuple[RawClip, float]]


def _pose(
    path: Path, settings: Settings, start_s: float | None, end_s: float | None
) -> tuple[RawClip, float]:
    # its package comes with the extra `train`, and answers to videos work without it
    from signloom.features.pose.pose_files import read_pose

    return read_pose(path, start_s, end_s)


READERS: dict[Kind, Reader] = {
    "pose": _pose,
    "rows": read_rows,
    "frames": read_rows,
    "openpose": read_openpose,
    "wholebody": read_whole_body,
}


def holds_landmarks(path: Path) -> bool:
    """Return whether `path` is a file or folder of landmarks, by its suffix or that of its files."""
    return kind_of(path) is not None


def read_landmarks(
    path: Path,
    start_s: float | None = None,
    end_s: float | None = None,
    max_fps: float | None = None,
    settings: Settings = UNSET,
) -> tuple[RawClip, float]:
    """Return the landmarks of a clip and its frames a second, of which at most `max_fps` are taken.

    `settings` is what its files do not say. Raises VideoUnreadable if they cannot be read or have no frame in
    that time, and SignloomError if `settings` lack something.
    """
    kind = kind_of(path)
    if kind is None:
        raise VideoUnreadable("no file of landmarks")
    try:
        raw, fps = READERS[kind](path, settings, start_s, end_s)
    except LandmarksUnreadable as error:
        raise VideoUnreadable(str(error)) from error
    thinner = Thinner(max_fps)
    taken = np.array([thinner.takes(time_s) for time_s in raw.times.tolist()])
    return RawClip(raw.rows[taken], raw.times[taken], raw.frame_index[taken], raw.width, raw.height), fps
