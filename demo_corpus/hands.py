"""Handshapes as finger-joint angles, and their application to the rest skeleton."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo_corpus.body import Skeleton
from demo_corpus.ik import Array, frame, swing, turn, unit

# thumb: directions of its three bones in hand axes (fingers, palm, thumb side)
THUMBS = {
    "side": ((0.66, 0.34, 0.67), (0.92, 0.18, 0.34), (0.98, 0.10, 0.16)),
    "out": ((0.58, 0.22, 0.78), (0.50, 0.10, 0.86), (0.46, 0.05, 0.89)),
    "up": ((0.42, 0.22, 0.88), (0.12, 0.10, 0.98), (-0.05, 0.02, 1.00)),
    "in": ((0.66, 0.58, 0.48), (0.70, 0.71, -0.05), (0.38, 0.55, -0.74)),
    "opp": ((0.52, 0.72, 0.46), (0.74, 0.66, 0.12), (0.86, 0.50, -0.04)),
}
STRAIGHT, FOLDED = (3.0, 5.0, 3.0), (82.0, 100.0, 62.0)


@dataclass(frozen=True)
class HandShape:
    """Flexion (4 fingers x knuckle, middle, end joint) and spread (4) in degrees; thumb from ``THUMBS``."""

    flexion: tuple[tuple[float, float, float], ...]
    spread: tuple[float, float, float, float]
    thumb: str

    def vector(self) -> Array:
        """Return the handshape as one vector (25,) that can be interpolated."""
        return np.concatenate([np.ravel(self.flexion), self.spread, np.ravel(THUMBS[self.thumb])])


def _same(flexion: tuple[float, float, float], spread: float, thumb: str) -> HandShape:
    return HandShape((flexion,) * 4, (1.5 * spread, 0.5 * spread, -0.5 * spread, -1.5 * spread), thumb)


def _some(straight: tuple[int, ...], spread: float, thumb: str) -> HandShape:
    """Return a shape with these fingers (0 index .. 3 little) straight and the others folded."""
    flexion = tuple(STRAIGHT if finger in straight else FOLDED for finger in range(4))
    return HandShape(flexion, (spread, -spread if straight == (0, 1) else 0.0, -0.5 * spread, -spread), thumb)


SHAPES = {
    "flat": _same(STRAIGHT, 2.0, "side"),
    "open5": _same((2.0, 6.0, 4.0), 13.0, "out"),
    "relaxed": _same((22.0, 28.0, 18.0), 4.0, "side"),
    "fist": _same(FOLDED, 0.0, "in"),
    "claw": _same((18.0, 55.0, 38.0), 12.0, "out"),
    "o": HandShape(
        ((52.0, 48.0, 26.0), (54.0, 50.0, 28.0), (54.0, 52.0, 30.0), (52.0, 52.0, 30.0)),
        (2.0, 0.0, -2.0, -4.0),
        "opp",
    ),
    "bent": _same((78.0, 6.0, 4.0), 2.0, "side"),
    "thumb": _same(FOLDED, 0.0, "up"),
    "point": _some((0,), 0.0, "in"),
    "v": _some((0, 1), 12.0, "in"),
    "w": _some((0, 1, 2), 12.0, "in"),
    "l": _some((0,), 0.0, "up"),
    "ily": _some((0, 3), 6.0, "out"),
    "y": _some((3,), 12.0, "up"),
}


def rest_frame(skeleton: Skeleton, side: str) -> Array:
    """Return the hand axes at rest as columns (fingers, palm, fingers x palm); ``side`` is L or R."""
    wrist, middle = skeleton.head(f"wrist.{side}"), skeleton.head(f"finger3-1.{side}")
    fingers = unit(middle - wrist)
    across = skeleton.head(f"finger2-1.{side}") - skeleton.head(f"finger5-1.{side}")
    palm = np.cross(across, fingers) if side == "R" else np.cross(fingers, across)
    return frame(fingers, palm)


def finger_rotations(skeleton: Skeleton, tips: dict[str, Array], side: str, shape: Array) -> dict[str, Array]:
    """Return rotations ``(T, 3, 3)`` of the 15 finger bones relative to the hand, for shapes ``(T, 25)``.

    ``tips`` has the rest positions of the finger tips.
    """
    axes = rest_frame(skeleton, side)
    fingers, palm, bend = axes.T
    towards_thumb = bend if side == "R" else -bend
    flexion = np.radians(shape[:, :12].reshape(-1, 4, 3))
    spread = np.radians(shape[:, 12:16])
    thumb = shape[:, 16:].reshape(-1, 3, 3)
    result: dict[str, Array] = {}
    for finger in range(1, 6):
        names = [f"finger{finger}-{joint}.{side}" for joint in (1, 2, 3)]
        ends = [skeleton.head(n) for n in names] + [tips[names[2]]]
        for joint, name in enumerate(names):
            rest = unit(ends[joint + 1] - ends[joint])
            if finger == 1:
                goal = thumb[:, joint, :] @ np.stack([fingers, palm, towards_thumb])
                result[name] = swing(rest, unit(goal))
            else:
                angle = flexion[:, finger - 2, : joint + 1].sum(1)
                sideways = spread[:, finger - 2] * (1.0 if side == "L" else -1.0)
                result[name] = turn(palm, sideways) @ turn(bend, angle) @ swing(rest, fingers)
    return result
