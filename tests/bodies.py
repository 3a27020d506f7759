"""A made-up body that moves, and what MediaPipe would say of it."""

from __future__ import annotations

import numpy as np

from signloom.features.pose.layout import RAW_PARTS
from signloom.features.pose.raw_clip import RawClip


def moving_body(times: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """A body in metres, x to the camera's right, y down, z away: its right arm and hand swing in time."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform(-0.4, 0.4, (33, 3))
    pose[[11, 12]] = [[0.2, 0, 0], [-0.2, 0, 0]]
    pose[[23, 24]] = [[0.12, 0.5, 0.02], [-0.12, 0.5, -0.02]]
    hands = rng.uniform(-0.08, 0.08, (2, 21, 3))
    hands[:, 0] = 0
    face = np.array([0, -0.25, -0.1]) + rng.uniform(-0.08, 0.08, (468, 3))
    swing = np.stack([0.2 * np.sin(2 * times), 0.1 * np.cos(3 * times), 0.1 * np.sin(times)], axis=-1)
    poses = np.repeat(pose[None], len(times), axis=0)
    poses[:, 14] += swing / 2
    poses[:, 16] += swing
    return {
        "pose": poses,
        "left_hand": poses[:, 15, None] + hands[0],
        "right_hand": poses[:, 16, None] + hands[1],
        "face": np.repeat(face[None], len(times), axis=0),
    }


def as_tracked(
    body: dict[str, np.ndarray],
    times: np.ndarray,
    width: int = 640,
    height: int = 480,
    pixels_a_metre: float = 400.0,
    shift: tuple[float, float] = (320.0, 200.0),
) -> RawClip:
    """What MediaPipe would say of `body`: shares of the frame, a hand's z from its wrist."""
    rows = np.full((len(times), 1662), np.nan, np.float32)
    for part, points in body.items():
        z = points[..., 2]
        if part != "pose":
            anchor = body["pose"][:, 0, 2, None] if part == "face" else z[:, :1]
            z = z - anchor
        x = (points[..., 0] * pixels_a_metre + shift[0]) / width
        y = (points[..., 1] * pixels_a_metre + shift[1]) / height
        values = [x, y, z * pixels_a_metre / width]
        if part == "pose":
            values.append(np.full(x.shape, 0.9))
        rows[:, RAW_PARTS[part]] = np.stack(values, axis=-1).reshape(rows[:, RAW_PARTS[part]].shape)
    return RawClip(rows, times, np.arange(len(times)), width, height)
