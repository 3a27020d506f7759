"""Draw landmarks over a frame."""

import cv2
import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.layout import HAND_BONES, POSE_BONES, RAW_PARTS

# RGB; the hands also differ in lightness, for colour-blind readers
POSE_COLOUR = (255, 255, 255)
LEFT_COLOUR = (255, 176, 0)
RIGHT_COLOUR = (26, 133, 255)
FACE_COLOUR = (170, 255, 195)
# pose points of the face and the hands are left out; their own meshes are drawn
_POSE_JOINTS = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_MIN_VISIBILITY = 0.3
_MIN_FACE = 56  # pixels
_SUBPIXEL_BITS = 4


def draw_landmarks(image: NDArray[np.uint8], row: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a copy of the RGB `image` (height, width, 3) with a raw landmark row (1662,) drawn over it.

    The face is drawn as dots, pose and hands as bones and joints. The person's own left hand is amber, the
    right hand blue. Missing parts and hidden joints are left out, and so is a face so small that its dots
    would hide mouth and brows.
    """
    canvas = np.ascontiguousarray(image).copy()
    size = np.array([image.shape[1], image.shape[0]], np.float64)
    thick = max(1, round(min(image.shape[:2]) / 320))
    parts = {name: row[columns].astype(np.float64) for name, columns in RAW_PARTS.items()}
    face = parts["face"].reshape(-1, 3)[:, :2] * size
    face = face[np.isfinite(face).all(axis=1)]
    if len(face) and np.ptp(face[:, 0]) >= _MIN_FACE:
        for point in face:
            _dot(canvas, point, 0.5 * thick, FACE_COLOUR)
    pose = parts["pose"].reshape(-1, 4)
    xy = pose[:, :2] * size
    shown = np.isfinite(xy).all(axis=1) & (pose[:, 3] >= _MIN_VISIBILITY)
    _skeleton(canvas, xy, shown, POSE_BONES, _POSE_JOINTS, POSE_COLOUR, thick)
    for name, colour in (("left_hand", LEFT_COLOUR), ("right_hand", RIGHT_COLOUR)):
        hand = parts[name].reshape(-1, 3)[:, :2] * size
        found = np.asarray(np.isfinite(hand).all(axis=1))
        _skeleton(canvas, hand, found, HAND_BONES, range(len(hand)), colour, thick)
    return canvas


def _skeleton(
    canvas: NDArray[np.uint8],
    points: NDArray[np.float64],
    shown: NDArray[np.bool_],
    bones: tuple[tuple[int, int], ...],
    joints: tuple[int, ...] | range,
    colour: tuple[int, int, int],
    thick: int,
) -> None:
    for a, b in bones:
        if shown[a] and shown[b]:
            cv2.line(canvas, _fixed(points[a]), _fixed(points[b]), colour, thick, cv2.LINE_AA, _SUBPIXEL_BITS)
    for joint in joints:
        if shown[joint]:
            _dot(canvas, points[joint], 1.2 * thick, colour)


def _dot(
    canvas: NDArray[np.uint8], point: NDArray[np.float64], radius: float, colour: tuple[int, ...]
) -> None:
    scaled = max(1, round(radius * 2**_SUBPIXEL_BITS))
    cv2.circle(canvas, _fixed(point), scaled, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(point: NDArray[np.float64]) -> tuple[int, int]:
    # a landmark far outside the frame must not overflow OpenCV's 32-bit coordinates
    x, y = np.rint(np.clip(point, -1e5, 1e5) * 2**_SUBPIXEL_BITS).astype(int)
    return int(x), int(y)
