"""The handshapes of ``handshapes.yaml``, and their application to the rest skeleton."""

import numpy as np
from pydantic.dataclasses import dataclass

from demo_corpus.body import Skeleton
from demo_corpus.ik import Array, frame, swing, turn, unit
from demo_corpus.lexicon import Vector
from demo_corpus.tables import KNOWN_KEYS_ALONE, read_table

Angles = tuple[float, float, float]


@dataclass(frozen=True, config=KNOWN_KEYS_ALONE)
class HandShape:
    """Flexion (4 fingers x knuckle, middle, end joint) and spread (4) in degrees; directions of the thumb."""

    name: str
    flexion: tuple[Angles, Angles, Angles, Angles]
    spread: tuple[float, float, float, float]
    thumb: tuple[Vector, Vector, Vector]  # of its three bones in hand axes: fingers, palm, thumb side

    def vector(self) -> Array:
        """Return the handshape as one vector (25,) that can be interpolated."""
        return np.concatenate([np.ravel(self.flexion), self.spread, np.ravel(self.thumb)])


SHAPES = {shape.name: shape for shape in read_table("handshapes", HandShape, "name")}


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
