"""Find a person in a picture and follow the 33 landmarks of the body."""

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.holistic.cuts import Cutter
from signloom.features.pose.holistic.detector import anchors, best_points
from signloom.features.pose.holistic.model_files import edited, model_file, outputs
from signloom.features.pose.holistic.networks import Network
from signloom.features.pose.holistic.rects import (
    Points,
    Rect,
    Single,
    Size,
    around_alignment,
    sigmoid,
    to_picture,
)
from signloom.features.pose.holistic.smoothing import LowPass, OneEuro
from signloom.features.pose.layout import POSE_POINTS

_ALIGNMENT = 2  # points after those of the body: its middle, and one that says how far it reaches
_UPRIGHT = 90
_SCALE = 1.25
_VISIBILITY_ALPHA = Single(0.1)
# the graph's file says 7, but MediaPipe's Python interface loses that option, and the default holds
_HEAT_SIDE = 9
_MIN_HEAT = 0.5


class BodyTracker:
    """Looks for a person until it has one, then where the person was in the last frame."""

    def __init__(self, min_detection: float, min_tracking: float) -> None:
        self._detector = Network(model_file("pose_detection/pose_detection"), low=-1.0)
        self._anchors = anchors(224, (8, 16, 32, 32, 32))
        self._whole = Cutter(224, black=True)
        # landmarks, presence and heat maps; not the person's outline, and not landmarks in metres
        self._network = Network(edited("pose_landmark/pose_landmark_full", outputs(0, 1, 3)))
        self._part = Cutter(256)
        self._min_detection, self._min_tracking = min_detection, min_tracking
        self.restart()

    def restart(self) -> None:
        """Forget the last clip."""
        self._rect: Rect | None = None
        self._visibility = LowPass()
        self._forget_motion()

    def _forget_motion(self) -> None:
        self._body, self._alignment = OneEuro(0.05, 80.0), OneEuro(0.01, 10.0)

    def __call__(self, image: NDArray[np.uint8], size: Size) -> Points | None:
        """Return x, y, z in shares of the picture and visibility (33, 4), or None without a person."""
        rect = self._rect or self._detect(image, size)
        self._rect = None
        found = None if rect is None or rect.empty else self._landmarks(image, rect)
        if found is None:
            self._forget_motion()
            return None
        points, visibility = found
        region = around_alignment(points[POSE_POINTS, :2], points[POSE_POINTS + 1, :2], _UPRIGHT, size)
        scale = 2 / (region.width * size.width + region.height * size.height)
        sides = np.array([size.width, size.height, size.width], np.float32)
        pixels = points * sides
        middle, reach = self._alignment(pixels[POSE_POINTS:], scale) / sides
        self._rect = around_alignment(middle[:2], reach[:2], _UPRIGHT, size).squared(size, _SCALE)
        body = self._body(pixels[:POSE_POINTS], scale) / sides
        return np.column_stack([body, self._visibility(visibility[:POSE_POINTS], _VISIBILITY_ALPHA)])

    def _detect(self, image: NDArray[np.uint8], size: Size) -> Rect | None:
        cut = self._whole(image, None)
        boxes, logits = self._detector.see(cut.picture)
        points = best_points(boxes, logits, self._anchors, 224, self._min_detection)
        if points is None:
            return None
        middle, reach = cut.unpadded(points)[:2]
        return around_alignment(middle, reach, _UPRIGHT, size).squared(size, _SCALE)

    def _landmarks(self, image: NDArray[np.uint8], rect: Rect) -> tuple[Points, Points] | None:
        """Return landmarks (35, 3) in shares of the picture and their visibility (35,)."""
        cut = self._part(image, rect)
        flat, presence, heat = self._network.see(cut.picture)
        if not presence.item() > self._min_tracking:
            return None
        rows = flat.reshape(-1, 5)[: POSE_POINTS + _ALIGNMENT]
        points = rows[:, :3] / Single(256)
        points[:, :2] = refined(points[:, :2], heat[0])
        return to_picture(cut.unpadded(points), rect), sigmoid(rows[:, 3])


def refined(points: Points, heat: NDArray[np.float32]) -> Points:
    """Move points (N, 2) in shares of the cut to the middle of the heat (height, width, N) around them."""
    sides = np.array(heat.shape[1::-1])
    column, row = (points * sides.astype(np.float32)).astype(np.int64).T
    steps = np.arange(_HEAT_SIDE) - _HEAT_SIDE // 2
    rows = row + np.repeat(steps, _HEAT_SIDE)[:, None]
    columns = column + np.tile(steps, _HEAT_SIDE)[:, None]
    inside = (rows >= 0) & (rows < sides[1]) & (columns >= 0) & (columns < sides[0])
    near = heat[rows.clip(0, sides[1] - 1), columns.clip(0, sides[0] - 1), np.arange(len(points))]
    heats = np.where(inside, sigmoid(near), Single(0))
    # summed one after another, as MediaPipe does
    total = np.add.accumulate(heats)[-1]
    x, y = (np.add.accumulate(places.astype(np.float32) * heats)[-1] for places in (columns, rows))
    middle = len(steps) * len(steps) // 2
    moved = (heats.max(axis=0) >= _MIN_HEAT) & inside[middle]
    total = np.where(moved, total, Single(1))
    found = np.stack([x / Single(sides[0]) / total, y / Single(sides[1]) / total], axis=1)
    return np.where(moved[:, None], found, points)
