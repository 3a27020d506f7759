"""The parts of a sign of the invented lexicon.

A key gives the position of a hand's knuckles at one moment of the sign. Coordinates are in metres along the
hand's own axes: x towards its own side, y forward, z up. ``fingers`` and ``palm`` are directions in the same
axes. ``anchor`` is ``chest`` (midway between the shoulders) or ``face`` (midway between the eyes).
"""

from __future__ import annotations

from dataclasses import dataclass, field

Vector = tuple[float, float, float]

UP, FORWARD, DOWN = (0.0, 0.1, 1.0), (0.0, 1.0, 0.1), (0.0, 0.2, -1.0)
TO_VIEWER, TO_SELF, INWARD = (0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (-1.0, 0.25, 0.0)


@dataclass(frozen=True)
class Key:
    """One hand at one moment; ``at``: share of the sign's time; ``arc`` bends the path that leads here."""

    at: float
    place: Vector
    fingers: Vector
    palm: Vector
    shape: str
    anchor: str = "chest"
    arc: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Sign:
    """A lexicon entry. ``hands``: one, two (symmetric) or base (the other hand holds still)."""

    gloss: str
    english: str
    synonym: str
    handshape: str
    place: str
    movement: str
    hands: str
    keys: tuple[Key, ...]
    other: tuple[Key, ...] = ()
    seconds: float = 0.32
    face: dict[str, float] = field(default_factory=dict)
    head: Vector = (0.0, 0.0, 0.0)  # nod down, turn to the dominant side, tilt to it; degrees
    face_note: str = ""


def path(
    shape: str, fingers: Vector, palm: Vector, *places: Vector, anchor: str = "chest"
) -> tuple[Key, ...]:
    """Return keys evenly spaced in time with the same handshape and orientation."""
    last = max(len(places) - 1, 1)
    return tuple(Key(i / last, place, fingers, palm, shape, anchor) for i, place in enumerate(places))


BROWS_UP = {
    "browInnerUp": 0.9,
    "browOuterUpLeft": 0.9,
    "browOuterUpRight": 0.9,
    "eyeWideLeft": 0.5,
    "eyeWideRight": 0.5,
}
BROWS_DOWN = {"browDownLeft": 0.9, "browDownRight": 0.9, "eyeSquintLeft": 0.4, "eyeSquintRight": 0.4}
SMILE = {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7}
PUCKER = {"mouthPucker": 0.9, "eyeSquintLeft": 0.5, "eyeSquintRight": 0.5}
OPEN = {"jawOpen": 0.35, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3}
