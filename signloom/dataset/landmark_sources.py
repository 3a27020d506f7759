"""Landmarks in place of videos: what kind a path is, and what its files hold before it is understood.

A clip is a `.pose` file; rows of numbers in `.npy`, `.npz` or `.csv`; a folder with an `.npy` row for every
frame (MP_Data); a folder of OpenPose's `*_keypoints.json`; or a `.json` of COCO-WholeBody points.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from signloom.dataset.landmark_openers import (
    WHOLE,
    LandmarksUnreadable,
    numbered,
    read_instances,
    read_people,
    read_row,
    span,
    table_shape,
)
from signloom.dataset.probe import FRAME_SUFFIXES, KEYPOINTS_END, files_of
from signloom.errors import SignloomError
from signloom.params.dataset import DatasetParams, PointOrder

Kind = Literal["pose", "rows", "frames", "openpose", "wholebody"]
_KINDS: dict[str, Kind] = {
    ".pose": "pose",
    ".npy": "rows",
    ".npz": "rows",
    ".csv": "rows",
    ".json": "wholebody",
}
SUFFIXES = frozenset(_KINDS)


class Settings(NamedTuple):
    """What files of landmarks do not say: order, frames a second, and the picture's width and height."""

    order: PointOrder | None = None
    frame_rate: float | None = None
    picture: Sequence[int] | None = None

    @classmethod
    def of(cls, dataset: DatasetParams) -> Self:
        """Return what the section `dataset` says."""
        return cls(dataset.point_order, dataset.frame_rate, dataset.picture_size)

    def check(self, kind: Kind, path: Path, width: int = 0) -> None:
        """Raise SignloomError if a parameter that files of this kind need is null; `width` is a row's."""
        if kind != "pose" and self.frame_rate is None:
            raise SignloomError(f"dataset.frame_rate: {path} says no rate; set frames a second, such as 25.0")
        if kind in ("rows", "frames") and self.picture is None:
            raise SignloomError(
                f"dataset.picture_size: {path} has shares of a picture whose shape it does not say; "
                "set width and height in pixels, such as [640, 480]"
            )
        if width == WHOLE and self.order is None:
            raise SignloomError(
                f"dataset.point_order: {path} has rows of {WHOLE} numbers, which have two orders; set it to "
                "signloom (pose, left hand, right hand, face) or mp_data (pose, face, left hand, right hand)"
            )


UNSET = Settings()


def kind_of(path: Path) -> Kind | None:
    """Return the kind of landmarks that `path` is, or None for a video or a folder of pictures."""
    if not path.is_dir():
        return _KINDS.get(path.suffix.lower())
    first = next(iter(files_of(path)), None)
    if first is None or first.suffix.lower() in FRAME_SUFFIXES:
        return None
    return "openpose" if first.name.lower().endswith(KEYPOINTS_END) else "frames"


def why_unreadable(path: Path, settings: Settings) -> str | None:
    """Return why the first rows of landmarks cannot be used, or None; stage landmarks reads the rest.

    Raises SignloomError if a parameter is null that these files need.
    """
    try:
        _check(path, settings)
    except LandmarksUnreadable as error:
        return str(error)
    return None


def _check(path: Path, settings: Settings) -> None:
    kind = kind_of(path)
    if kind == "pose":
        _check_pose(path)
    elif kind == "rows":
        settings.check(kind, path, table_shape(path)[1])
    elif kind == "wholebody":
        settings.check(kind, path)
        span(list(read_instances(path)))
    elif kind:
        files = numbered(path)
        span(list(files))
        first = next(iter(files.values()))
        settings.check(kind, path, len(read_row(first)) if kind == "frames" else len(read_people(first)))


def holds_frames(folder: Path) -> bool:
    """Return whether a folder has one frame of landmarks in each file, as MP_Data and OpenPose do."""
    if kind_of(folder) not in ("frames", "openpose"):
        return False
    try:
        first = files_of(folder)[0]
        return first.suffix.lower() == ".json" or len(read_row(first)) > 0
    except LandmarksUnreadable:  # each file is a clip of its own
        return False


def length_and_rate(path: Path, settings: Settings) -> tuple[float, float]:
    """Return the length in seconds and the frames a second of a clip that can be read."""
    kind, fps = kind_of(path), settings.frame_rate or float("nan")
    if kind == "pose":
        header = _check_pose(path)
        return len(header.data) / header.fps, float(header.fps)
    if kind == "rows":
        return table_shape(path)[0] / fps, fps
    return len(span(list(numbered(path) if path.is_dir() else read_instances(path)))) / fps, fps


def _check_pose(path: Path) -> Any:
    """Return what the header of a `.pose` file says: `fps`, and `data`, as long as there are frames."""
    # slow to import, and most corpora have none
    from pose_format import Pose
    from pose_format.pose_body import EmptyPoseBody

    try:
        with path.open("rb") as file:
            pose = Pose.read(file, EmptyPoseBody)
    except (OSError, EOFError, ValueError, TypeError, NotImplementedError, struct.error) as error:
        raise LandmarksUnreadable(f"not a .pose file that pose-format reads: {error}") from error
    names = [component.name for component in pose.header.components]
    if "POSE_LANDMARKS" not in names:
        raise LandmarksUnreadable(
            f"expected MediaPipe Holistic with POSE_LANDMARKS; the file has {', '.join(names)}"
        )
    if not pose.body.fps > 0:
        raise LandmarksUnreadable(f"the header says {pose.body.fps:g} frames/s; expected more than 0")
    return pose.body
