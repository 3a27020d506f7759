"""Turn a gloss line into hand targets over time: schedule, way-points, minimum-jerk paths, face and sway."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation

from demo_corpus.body import FACE_ACTIONS
from demo_corpus.hands import SHAPES
from demo_corpus.ik import Array, frame, unit
from demo_corpus.lexicon import BY_GLOSS, Key
from demo_corpus.signers import Signer

REST = Key(0, (0.13, 0.20, -0.325), (-0.82, 0.5, 0.05), (-0.2, -0.85, 0.45), "relaxed")
LEAD_IN, LEAD_OUT = 0.06, 0.05  # seconds at rest at either end
RISE, FALL = 0.23, 0.21  # seconds from rest to the first sign and back
TRANSITION = (0.13, 0.21)  # seconds between two signs, by distance
MIN_SECONDS = 2.26


@dataclass(frozen=True)
class Timed:
    """A sign of the sentence with its start and end in seconds."""

    gloss: str
    start: float
    end: float


@dataclass(frozen=True)
class Waypoint:
    """A hand at one time, in metres from the chest along its own axes."""

    time: float
    place: Array
    axes: Array  # (3, 3) columns fingers, palm, their cross product
    shape: Array
    arc: Array


@dataclass(frozen=True)
class HandTrack:
    """A hand in its own coordinates: knuckles ``(T, 3)``, axes ``(T, 3, 3)``, shape ``(T, 25)``."""

    place: Array
    axes: Array
    shape: Array


@dataclass(frozen=True)
class Motion:
    """The motion of a clip. ``head``, ``sway``: degrees (T, 3) of nod, turn, tilt to the dominant side."""

    fps: int
    hands: dict[str, HandTrack]  # dominant, other
    face: Array  # (T, actions)
    head: Array
    sway: Array
    signs: tuple[Timed, ...] = ()

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.face)


def waypoint(time: float, key: Key, face_from_chest: Array, jitter: Array | None = None) -> Waypoint:
    """Return a key of the lexicon at ``time`` in chest coordinates, shifted by ``jitter`` (3,) metres."""
    place = np.array(key.place) + (face_from_chest if key.anchor == "face" else 0.0)
    axes = frame(np.array(key.fingers, float), np.array(key.palm, float))
    moved = place if jitter is None else place + jitter
    return Waypoint(time, moved, axes, SHAPES[key.shape].vector(), np.array(key.arc))


def schedule(glosses: list[str], tempo: float, rng: np.random.Generator) -> tuple[list[Timed], float]:
    """Return start and end of every sign and the clip's length in seconds; short sentences are slower."""
    signs = [BY_GLOSS[g] for g in glosses]
    lengths = np.array([s.seconds for s in signs]) * rng.uniform(0.94, 1.06, len(signs)) / tempo
    gaps = np.zeros(len(signs))
    for i in range(1, len(signs)):
        distance = np.linalg.norm(np.subtract(_chest(signs[i].keys[0]), _chest(signs[i - 1].keys[-1])))
        gaps[i] = np.clip(0.09 + 0.30 * distance, *TRANSITION) / tempo
    edges = LEAD_IN + RISE + FALL + LEAD_OUT
    stretch = max(1.0, (MIN_SECONDS + rng.uniform(0.0, 0.04) - edges) / (lengths.sum() + gaps.sum()))
    time, timed = LEAD_IN + RISE, []
    for sign, length, gap in zip(signs, lengths * stretch, gaps * stretch, strict=True):
        start = time + gap
        time = start + length
        timed.append(Timed(sign.gloss, start, time))
    return timed, time + FALL + LEAD_OUT


def _chest(key: Key) -> Array:
    return np.array(key.place) + (np.array([0.0, 0.09, 0.235]) if key.anchor == "face" else 0.0)


def _sign_waypoints(
    timed: list[Timed], which: str, face: Array, rng: np.random.Generator
) -> list[list[Waypoint]]:
    """Return the way-points of one hand, sign by sign, without the signs that do not use it."""
    groups = []
    for item in timed:
        sign = BY_GLOSS[item.gloss]
        keys = sign.keys if which == "dominant" or sign.hands == "two" else sign.other
        jitter = rng.normal(0, 0.006, 3)
        if which == "other" and sign.hands == "base":
            keys = (*keys, replace(keys[0], at=1.0))
        # the last tenth of a sign is a hold
        length = item.end - item.start
        group = [waypoint(item.start + 0.9 * key.at * length, key, face, jitter) for key in keys]
        if group:
            groups.append([*group, replace(group[-1], time=item.end, arc=np.zeros(3))])
    return groups


def _coarticulate(groups: list[list[Waypoint]], share: float = 0.07) -> None:
    """Move the ends of every sign a little towards its neighbours."""
    for left, right in pairwise(groups):
        if len(left) > 2:
            left[-1] = replace(left[-1], place=left[-1].place + share * (right[0].place - left[-1].place))
        if len(right) > 2:
            right[0] = replace(right[0], place=right[0].place + share * (left[-1].place - right[0].place))


def _with_rests(groups: list[list[Waypoint]], length: float, rest: Waypoint) -> list[Waypoint]:
    """Join the groups; the hand moves to rest at both ends and in long gaps."""
    path = [replace(rest, time=0.0)]
    before = 0.0
    for group in groups:
        gap = group[0].time - before
        if before == 0.0:
            path.append(replace(rest, time=max(group[0].time - RISE, 0.01)))
        elif gap > 0.5:
            path.append(replace(rest, time=before + min(0.30, 0.5 * gap)))
            path.append(replace(rest, time=group[0].time - min(0.28, 0.45 * gap)))
        path.extend(group)
        before = group[-1].time
    if groups:
        path.append(replace(rest, time=min(before + FALL + 0.02, length - 0.02)))
    path.append(replace(rest, time=length))
    return path


def interpolate(path: list[Waypoint], times: Array) -> HandTrack:
    """Return the minimum-jerk motion through the way-points at ``times`` (T,) in seconds."""
    stops = np.array([w.time for w in path])
    index = np.clip(np.searchsorted(stops, times, side="right") - 1, 0, len(path) - 2)
    span = np.maximum(stops[index + 1] - stops[index], 1e-6)
    s = np.clip((times - stops[index]) / span, 0, 1)
    s = s**3 * (10 - 15 * s + 6 * s * s)
    places = np.stack([w.place for w in path])
    arcs = np.stack([w.arc for w in path])
    shapes = np.stack([w.shape for w in path])
    turns = Rotation.from_matrix(np.stack([w.axes for w in path]))
    change = (turns[index].inv() * turns[index + 1]).as_rotvec()
    axes = (turns[index] * Rotation.from_rotvec(change * s[:, None])).as_matrix()
    share = s[:, None]
    place = (
        places[index] + share * (places[index + 1] - places[index]) + np.sin(np.pi * share) * arcs[index + 1]
    )
    shape = shapes[index] + share * (shapes[index + 1] - shapes[index])
    shape[:, 16:] = unit(shape[:, 16:].reshape(-1, 3, 3)).reshape(len(times), 9)
    return HandTrack(place, axes, shape)


def _bump(times: Array, start: float, end: float, edge: float = 0.14) -> Array:
    """Return a smooth 0-1-0 window (T,) that rises and falls over ``edge`` seconds at start and end."""
    rise = np.clip((times - start + edge) / edge, 0, 1)
    fall = np.clip((end + edge - times) / edge, 0, 1)
    s = np.minimum(rise, fall)
    return np.asarray(s * s * (3 - 2 * s))


def idle(times: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return idle motion: blinks ``(T, actions)``, head and torso sway, each ``(T, 3)`` degrees."""
    face = np.zeros((len(times), len(FACE_ACTIONS)))
    blink = rng.uniform(0.3, max(times[-1] - 0.3, 0.4))
    closed = _bump(times, blink, blink + 0.03, 0.07)
    for side in ("Left", "Right"):
        face[:, FACE_ACTIONS.index(f"eyeBlink{side}")] = closed
    waves = []
    for size in (1.1, 1.5, 0.9, 0.7, 0.9, 0.7):
        rate, phase = rng.uniform(0.25, 0.55), rng.uniform(0, 2 * np.pi)
        waves.append(size * np.sin(2 * np.pi * rate * times + phase))
    return face, np.stack(waves[:3], 1), np.stack(waves[3:], 1)


def signing(glosses: list[str], signer: Signer, face_from_chest: Array, rng: np.random.Generator) -> Motion:
    """Return the motion of a signed sentence; ``face_from_chest`` (3,) is the face anchor from the chest."""
    tempo = signer.tempo * rng.uniform(0.98, 1.02)
    timed, length = schedule(glosses, tempo, rng)
    times = np.arange(round(length * signer.fps)) / signer.fps
    hands = {}
    for which in ("dominant", "other"):
        groups = _sign_waypoints(timed, which, face_from_chest, rng)
        _coarticulate(groups)
        rest = waypoint(0.0, REST, face_from_chest, rng.normal(0, 0.006, 3))
        hands[which] = interpolate(_with_rests(groups, length, rest), times)
    face, head, sway = idle(times, rng)
    for item in timed:
        sign = BY_GLOSS[item.gloss]
        window = _bump(times, item.start, item.end)
        for action, strength in sign.face.items():
            column = FACE_ACTIONS.index(action)
            face[:, column] = np.maximum(face[:, column], strength * window)
        head += window[:, None] * np.array(sign.head)
        sway += window[:, None] * np.array([1.0, 0.0, 0.5])
    return Motion(signer.fps, hands, np.clip(face, 0, 1), head, sway, tuple(timed))
