"""2-D points in pixels, as OpenPose and COCO-WholeBody models find them, as raw landmarks with depth 0.

Only points that MediaPipe has too are taken: nose, eyes, ears, corners of the mouth, shoulders, elbows,
wrists, hips, knees, ankles and heels, and all points of the hands. The face is missing.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signloom.dataset.landmark_openers import (
    LandmarksUnreadable,
    numbered,
    read_instances,
    read_people,
    span,
)
from signloom.dataset.landmark_sources import Settings
from signloom.features.pose import layout
from signloom.features.pose.lacking_points import whole_pose
from signloom.features.pose.raw_clip import RawClip, clip_of, frames_between

Array = NDArray[np.float64]

# MediaPipe's number of each point of a model's body, in the model's order; None: it has no such point.
# Left and right are the person's own in all of them.
_COCO_17 = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_OPENPOSE_ARMS = (0, None, 12, 14, 16, 11, 13, 15)
_COCO_18 = (*_OPENPOSE_ARMS, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
_BODY_25 = (*_OPENPOSE_ARMS, None, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7, None, None, 29, None, None, 30)
_WHOLE_FEET = (None, None, 29, None, None, 30)
# of the 68 points of a face, the corners of the mouth; 48 is on the person's right
_MOUTH = {54: 9, 48: 10}
_FACE_68 = tuple(_MOUTH.get(point) for point in range(68))
_LEFT, _RIGHT = layout.POSE_POINTS, layout.POSE_POINTS + layout.HAND_POINTS
_POINTS = _RIGHT + layout.HAND_POINTS
_WHOLE_BODY = (*_COCO_17, *_WHOLE_FEET, *_FACE_68, *range(_LEFT, _POINTS))
_TAKEN = np.isin(np.arange(layout.POSE_POINTS), [0, 2, 5, *range(7, 17), *range(23, 31)])
# a hand is there if the mean confidence of its points is that of a point that the program itself would draw
_OPENPOSE_HAND, _WHOLE_BODY_POINT = 0.2, 0.3
# hips that are never seen: below the middle of the shoulders, in mean shoulder widths
_HIPS = ((0.3, 1.5), (-0.3, 1.5))
_SHARES = 2.0  # coordinates up to this are no pixels
_WHERE = "expected x, y in pixels and a confidence for each point"

# reads the people of one frame as points (people, 75, 3)
_People = Callable[[int], Array]


def read_openpose(
    path: Path, settings: Settings, start_s: float | None, end_s: float | None
) -> tuple[RawClip, float]:
    """Read a folder of OpenPose's `*_keypoints.json` from `start_s` to `end_s`, and the frames a second.

    The largest person of each frame is read. Raises as `point_rows.read_rows` does.
    """
    files = numbered(path)

    def people(number: int) -> Array:
        file = files[number]
        return np.array([_openpose_points(person, file.name) for person in read_people(file)])

    return _read(path, settings, (start_s, end_s), files, people, _OPENPOSE_HAND)


def read_whole_body(
    path: Path, settings: Settings, start_s: float | None, end_s: float | None
) -> tuple[RawClip, float]:
    """Read COCO-WholeBody points of a clip from `start_s` to `end_s`, and the frames a second.

    The largest person of each frame is read. Raises as `point_rows.read_rows` does.
    """
    instances = read_instances(path)
    if (start_s or end_s is not None) and instances and min(instances) > 1:
        raise LandmarksUnreadable(
            f"its first image_id is {min(instances)}, so the number of earlier frames is unknown; "
            "number the images from 0 or 1, or give the clip a file of its own"
        )

    def people(number: int) -> Array:
        return np.array([_whole_body_points(person, f"frame {number}") for person in instances[number]])

    return _read(path, settings, (start_s, end_s), instances, people, _WHOLE_BODY_POINT)


def _read(
    path: Path,
    settings: Settings,
    cut: tuple[float | None, float | None],
    frames: Mapping[int, Any],
    people: _People,
    hand_confidence: float,
) -> tuple[RawClip, float]:
    settings.check("openpose", path)
    fps, whole = settings.frame_rate or 0.0, span(list(frames))
    numbers = frames_between(len(whole), fps, *cut)
    points, most, lost = np.zeros((len(numbers), _POINTS, 3)), 0, 0
    for row, number in enumerate(whole[numbers.start : numbers.stop]):
        found = people(number) if number in frames else points[:0]
        if not np.isfinite(found).all():
            raise LandmarksUnreadable(f"frame {number} has a value that is no finite number; {_WHERE}")
        most, lost = max(most, len(found)), lost + (number not in frames)
        if len(found):
            points[row] = max(found, key=_extent)
    if most > 1:
        print(f"landmarks: {path}: up to {most} people in a frame; the largest is read", file=sys.stderr)
    if lost:
        print(
            f"landmarks: {path}: {lost} of {len(numbers)} frames are not there; they stay missing",
            file=sys.stderr,
        )
    if 0 < points[..., :2].max() <= _SHARES:
        raise LandmarksUnreadable(f"coordinates are at most {points[..., :2].max():.3g}; {_WHERE}")
    size = settings.picture or [int(extent) + 1 for extent in np.maximum(points[..., :2].max(axis=(0, 1)), 0)]
    rows = to_rows(points, (size[0], size[1]), hand_confidence)
    return clip_of(rows, numbers, fps, cut[0], (size[0], size[1])), fps


def to_rows(points: Array, size: tuple[int, int], hand_confidence: float) -> NDArray[np.float32]:
    """Return raw rows (n, 1662) of `points` (n, 75: pose and hands, 3: x, y, confidence) in pixels.

    A pose needs both shoulders. Its other points take their place between the frames that show them, with
    visibility 0. Hips that are never seen are put below the shoulders.
    """
    rows = np.full((len(points), layout.RAW_DIM), np.nan, np.float32)
    flat = np.concatenate([points[..., :2] / size, np.zeros((*points.shape[:2], 1))], axis=-1)
    for part, first in (("left_hand", _LEFT), ("right_hand", _RIGHT)):
        hand = slice(first, first + layout.HAND_POINTS)
        seen = points[:, hand, 2]
        there = (seen > 0).all(axis=1) & (seen.mean(axis=1) >= hand_confidence)
        rows[there, layout.RAW_PARTS[part]] = flat[there, hand].reshape(-1, 3 * layout.HAND_POINTS)
    places, seen, there = _steady(points[:, : layout.POSE_POINTS])
    flat = np.concatenate([places / size, np.zeros((*seen.shape, 1))], axis=-1)
    rows[:, layout.RAW_PARTS["pose"]] = whole_pose(flat, seen, there, _TAKEN).reshape(len(rows), -1)
    return rows


def _steady(pose: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return places (n, 33, 2), visibility and presence (n, 33) of `pose` (n, 33, 3); see `to_rows`."""
    places, seen, frames = pose[..., :2].copy(), pose[..., 2].clip(0.0, 1.0), np.arange(len(pose))
    there = np.repeat((seen > 0).any(axis=0, keepdims=True), len(pose), axis=0)
    for point in np.flatnonzero(there.any(axis=0)):
        known = seen[:, point] > 0
        for axis in range(2):
            places[:, point, axis] = np.interp(frames, frames[known], places[known, point, axis])
    shoulders = places[:, layout.SHOULDERS]
    shown = (seen[:, layout.SHOULDERS] > 0).all(axis=1)
    if shown.any() and not there[:, layout.HIPS].all():
        width = np.median(np.linalg.norm(shoulders[shown, 0] - shoulders[shown, 1], axis=-1))
        places[:, layout.HIPS] = shoulders.mean(axis=1, keepdims=True) + width * np.array(_HIPS)
        seen[:, layout.HIPS], there[:, layout.HIPS] = 0.0, True
    there[~shown] = False
    return places, seen, there


def _openpose_points(person: dict[str, Any], where: str) -> Array:
    """Return the points (75, 3) of one person of OpenPose; a part that is empty was not looked for."""
    points = np.zeros((_POINTS, 3))
    body = _triples(person.get("pose_keypoints_2d"), (25, 18), f"{where}: pose_keypoints_2d")
    _place(points, _BODY_25 if len(body) == 25 else _COCO_18, body)
    face = _triples(person.get("face_keypoints_2d"), (70, 68), f"{where}: face_keypoints_2d")
    _place(points, _FACE_68, face)
    for side, first in (("left", _LEFT), ("right", _RIGHT)):
        name = f"hand_{side}_keypoints_2d"
        hand = _triples(person.get(name), (layout.HAND_POINTS,), f"{where}: {name}")
        points[first : first + len(hand)] = hand
    return points


def _whole_body_points(person: dict[str, Any], where: str) -> Array:
    """Return the points (75, 3) of one person of a COCO-WholeBody model; unsure points are 0."""
    points, values = np.zeros((_POINTS, 3)), person.get("keypoints")
    if "keypoint_scores" in person:
        try:
            values = np.column_stack([np.array(values, np.float64), person["keypoint_scores"]])
        except (TypeError, ValueError) as error:
            raise LandmarksUnreadable(f"{where}: keypoints and keypoint_scores differ: {error}") from error
    _place(points, _WHOLE_BODY, _triples(values, (len(_WHOLE_BODY),), f"{where}: keypoints"))
    pose = points[: layout.POSE_POINTS]
    pose[pose[:, 2] < _WHOLE_BODY_POINT] = 0.0
    return points


def _triples(values: Any, counts: Sequence[int], where: str) -> Array:
    """Return `values` as points (one of `counts`, 3), or (0, 3) if there are none."""
    try:
        flat = np.array([] if values is None else values, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise LandmarksUnreadable(f"{where}: {error}; {_WHERE}") from error
    if len(flat) and len(flat) not in [3 * count for count in counts]:
        wanted = " or ".join(str(3 * count) for count in counts)
        raise LandmarksUnreadable(f"{where} has {len(flat)} numbers, expected {wanted}")
    return flat.reshape(-1, 3)


def _place(points: Array, numbers: Sequence[int | None], values: Array) -> None:
    """Put `values` (n, 3) to the places that `numbers` say."""
    for number, value in zip(numbers, values, strict=False):
        if number is not None:
            points[number] = value


def _extent(points: Array) -> float:
    """Return the height times the width of the points (75, 3) that are seen."""
    seen = points[points[:, 2] > 0, :2]
    return float(np.prod(np.ptp(seen, axis=0))) if len(seen) else -1.0
