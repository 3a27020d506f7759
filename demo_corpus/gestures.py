"""People who move but do not sign: the twelve everyday gestures of ``gestures.yaml``."""

import numpy as np
from pydantic.dataclasses import dataclass

from demo_corpus.ik import Array
from demo_corpus.lexicon import Keys, Vector
from demo_corpus.motion import MIN_SECONDS, REST, Motion, idle, interpolate, waypoint
from demo_corpus.signers import Signer
from demo_corpus.tables import KNOWN_KEYS_ALONE, read_table


@dataclass(frozen=True, config=KNOWN_KEYS_ALONE)
class Gesture:
    """The keys of both hands at shares of the clip, and the largest nod, turn and tilt in degrees."""

    name: str
    head: Vector
    dominant: Keys = ()
    other: Keys = ()


GESTURES = read_table("gestures", Gesture, "name")


def gesture(number: int, signer: Signer, face_from_chest: Array, rng: np.random.Generator) -> Motion:
    """Return the motion of gesture ``number`` (0..11)."""
    chosen = GESTURES[number]
    length = MIN_SECONDS + float(rng.uniform(0.0, 0.08))
    times = np.arange(round(length * signer.fps)) / signer.fps
    hands = {}
    for which, keys in (("dominant", chosen.dominant), ("other", chosen.other)):
        rest = waypoint(0.0, REST, face_from_chest, rng.normal(0, 0.006, 3))
        points = [rest]
        for key in keys:
            points.append(waypoint(key.at * length, key, face_from_chest, rng.normal(0, 0.008, 3)))
        points.append(waypoint(length, REST, face_from_chest))
        hands[which] = interpolate(points, times)
    face, head, sway = idle(times, rng)
    wave = np.sin(2 * np.pi * times / length * np.array([[0.5], [1.0], [0.5]])).T
    return Motion(signer.fps, hands, face, head + wave * np.array(chosen.head), 2.2 * sway)
