"""Find a hand near a wrist of the body and follow its 21 landmarks."""

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.holistic.cuts import Cutter
from signloom.features.pose.holistic.following import Last, Limits, followed
from signloom.features.pose.holistic.model_files import (
    after_mean,
    before_mean,
    edited,
    outputs,
    scale_then_shift,
)
from signloom.features.pose.holistic.networks import Network, mean_of_places
from signloom.features.pose.holistic.rects import (
    Points,
    Rect,
    Single,
    Size,
    angle_between,
    around_alignment,
    cos,
    distance,
    normal_angle,
    sin,
    to_picture,
)
from signloom.features.pose.layout import HAND_POINTS

LEFT, RIGHT = (15, 17, 19), (16, 18, 20)  # wrist, little finger and index finger of the body
_MIN_VISIBILITY, _MIN_PRESENCE = 0.1, 0.5
_LIMITS = Limits(degrees=40, translation=0.2, scale=0.4, margin=-0.1)
_SHIFT_Y = -0.1
_PALM = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
_INDEX, _MIDDLE, _RING = 5, 9, 13  # where these fingers begin
_DEPTH = Single(0.4)


class HandNetworks:
    """The networks that both hands share, and the cuts that they see."""

    def __init__(self) -> None:
        name = "hand_landmark/hand_landmark_full"
        self.place = Network(edited("holistic_landmark/hand_recrop", scale_then_shift))
        self._hand = Network(edited(name, before_mean))
        # landmarks and presence; not whether the hand is a left one, and not landmarks in metres
        self._points = Network(edited(name, outputs(0, 1), after_mean))
        self.around_wrist, self.around_hand = Cutter(256), Cutter(224)

    def landmarks(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return landmarks (1, 63) in pixels of the cut (224, 224, 3), and the presence of a hand (1, 1)."""
        (values,) = self._hand.see(picture)
        return self._points(mean_of_places(values))


class HandTracker:
    """Follows one hand; `points` are those of the body that belong to it: `LEFT` or `RIGHT`."""

    def __init__(self, networks: HandNetworks, points: tuple[int, int, int]) -> None:
        self._networks, self._points = networks, points
        self.restart()

    def restart(self) -> None:
        """Forget the last clip."""
        self._last: Last | None = None

    def __call__(self, image: NDArray[np.uint8], size: Size, body: Points | None) -> Points | None:
        """Return x, y and z (21, 3) in shares of the picture, or None without a hand."""
        last, self._last = self._last, None
        if body is None or not body[self._points[0], 3] > _MIN_VISIBILITY:
            return None
        expected = self._expected(image, size, body)
        if expected is None:
            return None
        rect = followed(last, expected, _LIMITS, size)
        cut = self._networks.around_hand(image, rect)
        flat, presence = self._networks.landmarks(cut.picture)
        if not presence.item() > _MIN_PRESENCE:
            return None
        points = flat.reshape(HAND_POINTS, 3) / Single(224)
        points[:, 2] /= _DEPTH
        found = to_picture(cut.unpadded(points), rect)
        self._last = Last(found[:, :2], _around(found[:, :2], size))
        return found

    def _expected(self, image: NDArray[np.uint8], size: Size, body: Points) -> Rect | None:
        """Return where a network places the hand, given the body's landmarks."""
        guess = _from_body(body[list(self._points), :2], size)
        if guess.empty:
            return None
        cut = self._networks.around_wrist(image, guess)
        (flat,) = self._networks.place.see(cut.picture)
        middle, reach = to_picture(cut.unpadded(flat.reshape(2, 2) / Single(256)), guess)
        rect = around_alignment(middle, reach, -90, size).squared(size, 1.0, _SHIFT_Y)
        return None if rect.empty else rect


def _from_body(points: Points, size: Size) -> Rect:
    wrist, little, index = points * size
    middle = (2 * index + little) / Single(3)
    side = 2 * distance(wrist, middle)
    angle = angle_between(wrist, middle, 90)
    x, y = middle[0] / size.width, middle[1] / size.height
    return Rect(x, y, side / size.width, side / size.height, angle).squared(size, 2.7, _SHIFT_Y)


def _around(points: Points, size: Size) -> Rect:
    """Return the square around a hand's palm, turned as the hand is; points are shares (21, 2)."""
    sides = np.array(size, np.float32)
    fingers = ((points[_INDEX] + points[_RING]) / 2 + points[_MIDDLE]) / 2
    angle = angle_between(points[0] * sides, fingers * sides, 90)
    palm = points[list(_PALM)]
    centre = (palm.min(axis=0) + palm.max(axis=0)) / 2
    dx, dy = ((palm - centre) * sides).T
    back = normal_angle(-angle)
    x, y = dx * cos(back) - dy * sin(back), dx * sin(back) + dy * cos(back)
    width, height = x.max() - x.min(), y.max() - y.min()
    shift_x, shift_y = (x.max() + x.min()) / 2, (y.max() + y.min()) / 2
    middle_x = shift_x * cos(angle) - shift_y * sin(angle) + size.width * centre[0]
    middle_y = shift_x * sin(angle) + shift_y * cos(angle) + size.height * centre[1]
    upright = (middle_x / size.width, middle_y / size.height, width / size.width, height / size.height)
    return Rect(*upright, angle).squared(size, 2.0, _SHIFT_Y)
