"""Inverse kinematics of arms and hands, in closed form and for all frames at once.

Rotations of a bone are *world deltas from the rest pose*: ``posed_direction = delta @ rest_direction``.
Shapes: T frames, vectors ``(T, 3)`` in metres, rotations ``(T, 3, 3)``.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

REACH = 0.985  # largest distance of a target, as a share of the stretched arm's length


def unit(v: Array) -> Array:
    """Scale vectors ``(..., 3)`` to length 1; a null vector stays null."""
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9))


def frame(first: Array, second: Array) -> Array:
    """Return frames ``(..., 3, 3)``: column 0 along ``first``, column 1 nearest to ``second``."""
    a = unit(first)
    b = unit(second - (second * a).sum(-1, keepdims=True) * a)
    return np.stack([a, b, np.cross(a, b)], axis=-1)


def turn(axis: Array, angle: Array) -> Array:
    """Return rotations ``(..., 3, 3)`` by ``angle`` radians about unit ``axis`` (..., 3) (Rodrigues)."""
    axis, angle = np.broadcast_arrays(np.asarray(axis, float), np.asarray(angle, float)[..., None])
    angle = angle[..., :1, None]
    k = np.zeros((*axis.shape[:-1], 3, 3))
    k[..., 0, 1], k[..., 0, 2], k[..., 1, 2] = -axis[..., 2], axis[..., 1], -axis[..., 0]
    k -= np.swapaxes(k, -1, -2)
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k))


def swing(start: Array, end: Array) -> Array:
    """Return the smallest rotations ``(..., 3, 3)`` from unit ``start`` to unit ``end`` (..., 3)."""
    start, end = np.broadcast_arrays(start, end)
    cross = np.cross(start, end)
    angle = np.arctan2(np.linalg.norm(cross, axis=-1), (start * end).sum(-1))
    return turn(unit(cross), angle)


def twist_angle(rotation: Array, axis: Array) -> Array:
    """Return the angle (...,) in radians of ``rotation`` (..., 3, 3) about unit ``axis`` (..., 3)."""
    vector = np.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        axis=-1,
    )
    trace = np.trace(rotation, axis1=-2, axis2=-1)
    # quaternion (w, v) up to scale: w = 1 + trace, v = vector
    angle = 2 * np.arctan2((vector * axis).sum(-1), 1 + trace)
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def elbow(shoulder: Array, wrist: Array, upper: float, lower: float, pole: Array) -> tuple[Array, Array]:
    """Return elbow and reachable wrist ``(T, 3)`` of an arm with bones of ``upper`` and ``lower`` metres.

    The elbow lies in the plane of shoulder, wrist and ``pole`` (a direction ``(T, 3)``). A wrist out of reach
    is moved towards the shoulder.
    """
    line = wrist - shoulder
    wanted = np.linalg.norm(line, axis=-1, keepdims=True)
    low, high = abs(upper - lower) + 0.02, REACH * (upper + lower)
    distance = np.clip(wanted, low, high)
    along = line / np.maximum(wanted, 1e-9)
    side = unit(pole - (pole * along).sum(-1, keepdims=True) * along)
    reach = (upper**2 - lower**2 + distance**2) / (2 * distance)
    height = np.sqrt(np.maximum(upper**2 - reach**2, 0.0))
    return shoulder + reach * along + height * side, shoulder + distance * along


def pole_direction(shoulder: Array, wrist: Array, fingers: Array, outward: float, lower: float) -> Array:
    """Return the elbow's direction ``(T, 3)``: down, a little out and back, and in line with the hand.

    ``fingers`` (T, 3) is the hand's direction; ``outward`` is the sign of x on the arm's own side.
    An elbow placed ``lower`` metres behind the hand along its direction would leave the wrist straight.
    """
    natural = unit(np.array([0.42 * outward, 0.45, -1.0]))
    straight = wrist - lower * fingers - 0.5 * (shoulder + wrist)
    out_enough = np.array([0.10 * outward, 0.0, 0.0])
    return unit(natural + 1.15 * straight + out_enough)
