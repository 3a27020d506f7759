"""Read and write `.pose` files of MediaPipe Holistic landmarks, in the form of the package pose-format.

A file has x and y in pixels, z as MediaPipe gives it and a confidence, which is the visibility of a pose
landmark; a part with confidence 0 is missing. Some programs wrote z in pixels, moved the depth away from
MediaPipe's origins, kept only some of the points, or left the depth out: such files are read too.
"""

import math
import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_body import EmptyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions
from pose_format.utils.reader import BufferReader

from signloom.cells import shown
from signloom.errors import SignloomError
from signloom.features.pose import layout
from signloom.features.pose.lacking_points import whole_pose
from signloom.features.pose.point_names import POINT_NAMES, named_points
from signloom.features.pose.raw_clip import TORSO, RawClip, frames_between
from signloom.files import atomic
from signloom.video.decode import VideoUnreadable

Array = NDArray[np.float64]

# the components of a file, in their order, and their bones
_COMPONENTS = {
    "pose": ("POSE_LANDMARKS", layout.POSE_BONES),
    "face": ("FACE_LANDMARKS", ()),
    "left_hand": ("LEFT_HAND_LANDMARKS", layout.HAND_BONES),
    "right_hand": ("RIGHT_HAND_LANDMARKS", layout.HAND_BONES),
}
_COLOUR = (90, 90, 90)  # of every bone in a viewer
# MediaPipe's depth has the scale of x as a share of the width: more than this is in pixels
_DEEPEST = 10.0
# and its hips lie at depth 0: further away, somebody moved them
_MOVED = 0.1
_FIRST_VERSION = 0.1
_LEAST_OF_A_POINT = 8  # bytes: a coordinate and a confidence


class PoseFile(NamedTuple):
    """The landmarks of a clip, times from its start, and the frames a second of its file."""

    raw: RawClip
    fps: float


def read_pose(path: Path, start_s: float | None = None, end_s: float | None = None) -> PoseFile:
    """Read the first person of a `.pose` file from `start_s` to `end_s` (None: from or to its end).

    Points that the file lacks lie in the middle of the torso; a hand or a face that lacks a point is missing.
    Raises VideoUnreadable if the file is no `.pose` file of Holistic landmarks or has no such frame.
    """
    header, whole = _open(path, EmptyPoseBody)
    size, fps = header.dimensions, float(whole.fps)
    if not (size.width and size.height and fps > 0):
        about = f"{size.width}x{size.height} pixels and {fps:g} frames/s"
        raise VideoUnreadable(f"the header of the .pose file says {about}; expected more than 0")
    numbers = np.array(frames_between(len(whole.data), fps, start_s, end_s), np.int64)
    _, body = _open(path, NumPyPoseBody, start_frame=int(numbers[0]), end_frame=int(numbers[-1]) + 1)
    # the first version of the format is always read whole
    taken = slice(None) if len(body.data) == len(numbers) else numbers
    data, confidence = body.data.data[taken, 0], body.confidence[taken, 0]
    with np.errstate(invalid="ignore"):  # a file may hold any bits, NaN that signal included
        points, seen = np.asarray(data, np.float64), np.asarray(confidence, np.float64)
    rows = _rows(header, points, seen)
    times = numbers / fps - (start_s or 0.0)
    return PoseFile(RawClip(rows, times, numbers, size.width, size.height), fps)


def write_pose(path: Path, raw: RawClip, fps: float) -> None:
    """Write the landmarks `raw` as a `.pose` file of `fps` frames a second.

    Raises SignloomError for what no `.pose` file can hold: a clip without frames or size, or no rate.
    """
    _write(path, raw.rows, (raw.width, raw.height), fps)


def write_feature_pose(path: Path, features: NDArray[np.float32], fps: float) -> None:
    """Write `features` (n, 540) as a `.pose` file of `fps` frames a second.

    The unit is the torso's, its middle is (0, 0, 0), and the face has every fifth point.
    """
    _write(path, features, (1, 1), fps)


def _write(path: Path, rows: NDArray[np.float32], size: tuple[int, int], fps: float) -> None:
    if not (len(rows) and min(size) > 0 and 0 < fps < math.inf):
        raise SignloomError(
            f"{path}: {len(rows)} frames of {size[0]}x{size[1]} pixels at {fps:g} frames/s; a .pose file "
            "needs more than 0 of each"
        )
    points, confidence, components = [], [], []
    named = named_points(rows)
    for part, (name, bones) in _COMPONENTS.items():
        names, values = named[part]
        there = np.asarray(np.isfinite(values).all(axis=(1, 2)))
        points.append(np.where(there[:, None, None], values[..., :3] * (*size, 1), 0.0))
        seen = values[..., 3] if part == "pose" else np.ones(values.shape[:2])
        confidence.append(np.where(there[:, None], seen, 0.0))
        components.append(PoseHeaderComponent(name, list(names), list(bones), [_COLOUR] * len(bones), "XYZC"))
    header = PoseHeader(0.2, PoseHeaderDimensions(*size, size[0]), components)
    data = np.concatenate(points, axis=1)[:, None].astype(np.float32)
    body = NumPyPoseBody(fps, data, np.concatenate(confidence, axis=1)[:, None].astype(np.float32))
    with atomic(path) as part_file, part_file.open("wb") as file:
        Pose(header, body).write(file)


def _open(path: Path, kind: Any, **frames: int) -> tuple[PoseHeader, Any]:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # `Pose.read` loses bytes of small files when it is asked for some of their frames
            reader = BufferReader(content)
            header = PoseHeader.read(reader)
            _demand_whole(header, content, reader.read_offset - reader.read_skipped)
            body = kind.read(header, reader, **frames)
    except (OSError, ValueError, TypeError, NotImplementedError, struct.error) as error:
        raise VideoUnreadable(f"not a .pose file that pose-format reads: {error}") from error
    claimed = math.prod(body.data.shape[:3]) * _LEAST_OF_A_POINT
    if claimed > path.stat().st_size:  # work and memory grow with what is claimed
        raise VideoUnreadable(f"the .pose file claims {body.data.shape[0]} frames and is too short for them")
    if not body.data.shape[1]:
        raise VideoUnreadable("the .pose file holds no person")
    return header, body


def _demand_whole(header: PoseHeader, content: mmap.mmap, place: int) -> None:
    """Raise VideoUnreadable if a file of version 0.1, whose body begins at `place`, lacks some of its frames.

    pose-format takes the number of frames from the length of such a file, and then reads coordinates as
    confidences. The file says the number too, but in 16 bits.
    """
    if round(header.version, 3) != _FIRST_VERSION:
        return
    _, said, people = struct.unpack_from("<3H", content, place)
    points = sum(len(component.points) for component in header.components)
    a_frame = people * points * (header.num_dims() + 1) * 4
    there = (len(content) - place - 6) // a_frame if a_frame else 0
    if a_frame and there % (1 << 16) != said:
        raise VideoUnreadable(f"the .pose file says {said} frames and holds {there}; copy it again")


def _rows(header: PoseHeader, data: Array, confidence: Array) -> NDArray[np.float32]:
    """Return raw rows (n, 1662) of one person's points `data` (n, points, 2 or 3) in pixels."""
    if data.shape[-1] == 2:
        data = np.concatenate([data, np.zeros((*data.shape[:2], 1))], axis=-1)
    pose = _part(header, "pose", data, confidence)
    parts = {part: _part(header, part, data, confidence) for part in layout.PARTS[1:]}
    if pose is None:
        have = ", ".join(shown(component.name) for component in header.components)
        raise VideoUnreadable(f"the .pose file has no POSE_LANDMARKS with shoulders and hips; it has {have}")
    return _joined(header.dimensions, pose, parts)


def _joined(size: Any, pose: Array, parts: dict[str, Array | None]) -> NDArray[np.float32]:
    """Return rows (n, 1662) of parts in pixels, NaN where a part is None or its values are."""
    if np.isnan(pose).all():
        return np.full((len(pose), layout.RAW_DIM), np.nan, np.float32)
    hips = pose[:, layout.HIPS, 2].mean(axis=1, keepdims=True)
    far = np.abs(pose[..., 2] - hips)
    depth = size.width if np.nanpercentile(far, 95) > _DEEPEST else 1.0
    if np.abs(np.nanmedian(hips)) > _MOVED * depth:
        # MediaPipe's depth begins at the hips, at a hand's wrist and inside the face
        pose[..., 2] -= hips
        for part, values in parts.items():
            if values is not None:
                z = values[..., 2]
                values[..., 2] = z - (z.mean(axis=1, keepdims=True) if part == "face" else z[:, :1])
    rows = np.full((len(pose), layout.RAW_DIM), np.nan, np.float32)
    for part, values in {"pose": pose, **parts}.items():
        if values is not None:
            values[..., :3] /= (size.width, size.height, depth)
            rows[:, layout.RAW_PARTS[part]] = values.reshape(len(rows), -1)
    return rows


def _part(header: PoseHeader, part: str, data: Array, confidence: Array) -> Array | None:
    """Return a part (n, points, 4 for the pose and 3 for others), NaN where missing, or None without it."""
    (name, _), names, place = _COMPONENTS[part], POINT_NAMES[part], 0
    for component in header.components:
        if component.name == name:
            break
        place += len(component.points)
    else:
        return None
    where = {point: place + number for number, point in enumerate(component.points)}
    columns = np.array([where.get(point, -1) for point in names])
    if (columns[list(TORSO)] < 0).any() if part == "pose" else (columns < 0).any():
        return None
    values, seen = data[:, columns], confidence[:, columns]
    there = (columns >= 0) & ((seen > 0) | values[..., :2].any(axis=-1))
    if part != "pose":
        values[~((seen > 0) & there).all(axis=1)] = np.nan
        return values
    return whole_pose(values, seen, there, columns >= 0)
