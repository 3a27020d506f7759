"""Find the face of a body and follow its 468 landmarks."""

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.holistic.cuts import Cutter
from signloom.features.pose.holistic.detector import anchors, best_points
from signloom.features.pose.holistic.following import Last, Limits, followed
from signloom.features.pose.holistic.model_files import model_file
from signloom.features.pose.holistic.networks import Network
from signloom.features.pose.holistic.rects import (
    Points,
    Rect,
    Single,
    Size,
    angle_between,
    sigmoid,
    to_picture,
)
from signloom.features.pose.layout import FACE_POINTS

_OF_BODY = slice(0, 11)
_BODY_EYES = (5, 2)  # the right and the left one of the person, as in the two that follow
_DETECTED_EYES, _EYES = (0, 1), (33, 263)
_MIN_SCORE, _MIN_PRESENCE = 0.5, 0.5
_LIMITS = Limits(degrees=15, translation=0.1, scale=0.3, margin=-0.2)


class FaceTracker:
    """Looks for a face where the body's is, and follows its landmarks."""

    def __init__(self) -> None:
        self._detector = Network(model_file("face_detection/face_detection_short_range"), low=-1.0)
        self._anchors = anchors(128, (8, 16, 16, 16))
        self._around_head = Cutter(128, black=True)
        self._network = Network(model_file("face_landmark/face_landmark"))
        self._around_face = Cutter(192, square=False)
        self.restart()

    def restart(self) -> None:
        """Forget the last clip."""
        self._last: Last | None = None

    def __call__(self, image: NDArray[np.uint8], size: Size, body: Points | None) -> Points | None:
        """Return x, y and z (468, 3) in shares of the picture, or None without a face."""
        last, self._last = self._last, None
        expected = None if body is None else self._detect(image, size, body[_OF_BODY, :2])
        if expected is None:
            return None
        rect = followed(last, expected, _LIMITS, size)
        flat, presence = self._network.see(self._around_face(image, rect).picture)
        if not sigmoid(presence).item() > _MIN_PRESENCE:
            return None
        found = to_picture(flat.reshape(FACE_POINTS, 3) / Single(192), rect)
        self._last = Last(found[:, :2], _box(found[:, :2], _EYES, size).squared(size, 1.5))
        return found

    def _detect(self, image: NDArray[np.uint8], size: Size, face: Points) -> Rect | None:
        """Return the rectangle around the detected face."""
        guess = _box(face, _BODY_EYES, size).squared(size, 3.0)
        if guess.empty:
            return None
        cut = self._around_head(image, guess)
        boxes, logits = self._detector.see(cut.picture)
        points = best_points(boxes, logits, self._anchors, 128, _MIN_SCORE)
        if points is None:
            return None
        points = cut.to_picture(points)
        # MediaPipe takes the middle of the sides here, and elsewhere one side and half the length
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        box = _box(points, _DETECTED_EYES, size)._replace(x=middle[0], y=middle[1])
        rect = box.squared(size, 2.0, -0.1)
        return None if rect.empty else rect


def _box(points: Points, eyes: tuple[int, int], size: Size) -> Rect:
    """Return the box of points (N, 2), turned as the line of the eyes is."""
    low = points.min(axis=0)
    width, height = points.max(axis=0) - low
    angle = angle_between(points[eyes[0]] * size, points[eyes[1]] * size, 0)
    return Rect(low[0] + width / 2, low[1] + height / 2, width, height, angle)
