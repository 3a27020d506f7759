"""People who move but do not sign: twelve everyday gestures."""

from __future__ import annotations

import numpy as np

from demo_corpus.ik import Array
from demo_corpus.motion import MIN_SECONDS, REST, Motion, idle, interpolate, waypoint
from demo_corpus.sign import Key, Vector
from demo_corpus.signers import Signer

Path = tuple[tuple[float, Vector, Vector, Vector, str, str], ...]
C, F = "chest", "face"
UP: Vector = (0.0, 0.15, 1.0)
SELF: Vector = (0.0, -1.0, 0.0)
OUT: Vector = (0.0, 1.0, 0.0)
IN: Vector = (-0.8, 0.5, 0.0)

_SCRATCH: Path = tuple(
    (t, (x, 0.06, z), (-0.65, -0.1, 0.75), (-0.7, -0.2, -0.6), "claw", F)
    for t, x, z in (
        (0.22, 0.15, 0.10),
        (0.34, 0.13, 0.13),
        (0.44, 0.15, 0.09),
        (0.54, 0.13, 0.13),
        (0.64, 0.15, 0.10),
        (0.76, 0.14, 0.12),
    )
)
_COLLAR: Path = tuple(
    (t, (0.11, 0.19, z), (-0.5, 0.0, 0.85), (-0.3, -0.95, 0.0), "o", C)
    for t, z in ((0.22, -0.03), (0.40, -0.08), (0.56, -0.02), (0.75, -0.09))
)
_FLAIL_A: Path = tuple(
    (t, (x, 0.25, z), UP, OUT, "open5", C)
    for t, x, z in (
        (0.18, 0.36, -0.15),
        (0.35, 0.25, 0.10),
        (0.5, 0.40, -0.05),
        (0.65, 0.22, -0.20),
        (0.82, 0.38, 0.05),
    )
)
_FLAIL_B: Path = tuple(
    (t, (x, 0.25, z), UP, OUT, "open5", C)
    for t, x, z in (
        (0.15, 0.28, -0.25),
        (0.32, 0.40, -0.05),
        (0.48, 0.22, 0.08),
        (0.68, 0.37, -0.12),
        (0.84, 0.26, -0.22),
    )
)
_SWING: Path = tuple(
    (t, (x, y, -0.30), (-0.2, 0.4, -0.85), (-0.9, 0.3, 0.0), "relaxed", C)
    for t, x, y in ((0.15, 0.30, 0.30), (0.38, 0.34, 0.10), (0.6, 0.28, 0.32), (0.85, 0.34, 0.12))
)
_DRINK: Path = (
    (0.28, (0.12, 0.28, -0.15), (-0.6, 0.5, 0.5), (-0.7, -0.4, 0.2), "o", C),
    (0.46, (0.10, 0.17, -0.10), (-0.5, 0.1, 0.85), (-0.6, -0.7, 0.2), "o", F),
    (0.62, (0.10, 0.16, -0.07), (-0.55, -0.1, 0.8), (-0.6, -0.7, 0.2), "o", F),
    (0.80, (0.14, 0.28, -0.18), (-0.6, 0.5, 0.5), (-0.7, -0.4, 0.2), "o", C),
)
_STRETCH: Path = (
    (0.30, (0.26, 0.12, 0.12), UP, IN, "fist", C),
    (0.48, (0.30, 0.05, 0.24), UP, IN, "fist", C),
    (0.62, (0.38, 0.08, 0.16), (0.5, 0.1, 0.8), OUT, "fist", C),
    (0.80, (0.34, 0.15, -0.12), (0.3, 0.3, 0.7), OUT, "relaxed", C),
)
_RUB_A: Path = tuple(
    (t, (x, 0.30, z), (-0.5, 0.75, 0.35), (-0.8, 0.1, -0.5), "flat", C)
    for t, x, z in (
        (0.2, 0.06, -0.20),
        (0.34, 0.04, -0.15),
        (0.48, 0.07, -0.21),
        (0.62, 0.04, -0.15),
        (0.78, 0.06, -0.20),
    )
)
_RUB_B: Path = tuple(
    (t, (x, 0.30, z), (-0.5, 0.75, 0.35), (-0.8, 0.1, 0.5), "flat", C)
    for t, x, z in (
        (0.2, 0.07, -0.22),
        (0.34, 0.08, -0.27),
        (0.48, 0.06, -0.21),
        (0.62, 0.08, -0.27),
        (0.78, 0.07, -0.22),
    )
)
_PHONE: Path = (
    (0.26, (0.15, 0.10, -0.04), (-0.2, 0.0, 1.0), (-0.9, 0.2, 0.0), "claw", F),
    (0.50, (0.14, 0.08, -0.03), (-0.2, 0.0, 1.0), (-0.9, 0.2, 0.0), "claw", F),
    (0.72, (0.17, 0.11, -0.06), (-0.2, 0.0, 1.0), (-0.9, 0.2, 0.0), "claw", F),
)
_SHRUG: Path = (
    (0.26, (0.28, 0.26, -0.16), (0.55, 0.55, 0.55), (0.1, 0.3, 0.9), "open5", C),
    (0.42, (0.33, 0.24, -0.08), (0.6, 0.5, 0.55), (0.1, 0.3, 0.9), "open5", C),
    (0.60, (0.32, 0.24, -0.09), (0.6, 0.5, 0.55), (0.1, 0.3, 0.9), "open5", C),
    (0.78, (0.27, 0.24, -0.20), (0.5, 0.6, 0.4), (0.0, 0.3, 0.9), "relaxed", C),
)
_WIPE: Path = (
    (0.28, (0.14, 0.13, 0.06), (-0.7, 0.1, 0.6), (-0.2, -0.9, 0.1), "flat", F),
    (0.50, (-0.04, 0.15, 0.085), (-0.85, 0.1, 0.45), (0.0, -0.95, 0.1), "flat", F),
    (0.72, (0.16, 0.13, 0.06), (-0.7, 0.1, 0.6), (-0.2, -0.9, 0.1), "flat", F),
)
_WATCH: Path = (
    (0.20, (0.32, 0.24, -0.02), (-0.2, 0.4, 0.9), (-0.9, 0.0, -0.2), "fist", C),
    (0.36, (-0.02, 0.30, -0.12), (-0.9, 0.3, 0.15), (0.0, -0.4, -0.9), "fist", C),
    (0.52, (-0.02, 0.29, -0.03), (-0.9, 0.3, 0.15), (0.0, -0.4, -0.9), "fist", C),
    (0.66, (-0.02, 0.30, -0.13), (-0.9, 0.3, 0.15), (0.0, -0.4, -0.9), "fist", C),
    (0.84, (0.28, 0.26, -0.24), (-0.6, 0.5, 0.2), (0.0, -0.5, -0.8), "relaxed", C),
)
_DUST_A: Path = tuple(
    (t, (x, 0.21, z), (-0.9, 0.2, -0.1), (-0.3, -0.9, 0.0), "flat", C)
    for t, x, z in (
        (0.22, 0.02, -0.10),
        (0.34, 0.02, -0.28),
        (0.46, 0.00, -0.12),
        (0.58, 0.02, -0.30),
        (0.74, 0.02, -0.14),
    )
)

# name, dominant hand, other hand, largest head rotation (nod, turn, tilt) in degrees
GESTURES: tuple[tuple[str, Path, Path, Vector], ...] = (
    ("scratching the head", _SCRATCH, (), (6.0, 4.0, 6.0)),
    ("adjusting the collar", _COLLAR, _COLLAR, (4.0, 0.0, -4.0)),
    ("arms waving aimlessly", _FLAIL_A, _FLAIL_B, (0.0, 8.0, 3.0)),
    ("looking around with swinging arms", _SWING, _SWING, (0.0, 22.0, 0.0)),
    ("drinking", _DRINK, (), (-9.0, 0.0, 0.0)),
    ("stretching", _STRETCH, _STRETCH, (-8.0, 0.0, 5.0)),
    ("rubbing the hands", _RUB_A, _RUB_B, (4.0, 0.0, 3.0)),
    ("holding a telephone", _PHONE, (), (0.0, -8.0, 6.0)),
    ("shrugging", _SHRUG, _SHRUG, (-3.0, 0.0, 8.0)),
    ("wiping the brow", _WIPE, (), (4.0, 5.0, 0.0)),
    ("looking at a watch", (), _WATCH, (12.0, -6.0, 0.0)),
    ("brushing down the shirt", _DUST_A, (), (12.0, 0.0, 0.0)),
)


def gesture(number: int, signer: Signer, face_from_chest: Array, rng: np.random.Generator) -> Motion:
    """Return the motion of gesture ``number`` (0..11)."""
    _, dominant, other, swing = GESTURES[number]
    length = MIN_SECONDS + float(rng.uniform(0.0, 0.08))
    times = np.arange(round(length * signer.fps)) / signer.fps
    hands = {}
    for which, path in (("dominant", dominant), ("other", other)):
        rest = waypoint(0.0, REST, face_from_chest, rng.normal(0, 0.006, 3))
        points = [rest]
        for at, place, fingers, palm, shape, anchor in path:
            key = Key(at, place, fingers, palm, shape, anchor)
            points.append(waypoint(at * length, key, face_from_chest, rng.normal(0, 0.008, 3)))
        points.append(waypoint(length, REST, face_from_chest))
        hands[which] = interpolate(points, times)
    face, head, sway = idle(times, rng)
    wave = np.sin(2 * np.pi * times / length * np.array([[0.5], [1.0], [0.5]])).T
    return Motion(signer.fps, hands, face, head + wave * np.array(swing), 2.2 * sway)
