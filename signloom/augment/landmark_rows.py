"""Landmark augmentation: pure functions of features, parameters and a generator.

Features are (T, 540) in body units, NaN for a missing part, with T at least 1; masks are (T, 4). Nothing
flips left and right, because that changes the meaning in a sign language.
"""

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from signloom.params.sign2text import AugmentParams

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]

POSE_LANDMARKS = 33
LANDMARK_COLUMNS = 540
# columns of x, y and z of the 169 landmarks; only the pose has a visibility after each z
_FIRST = np.concatenate(
    [np.arange(0, 4 * POSE_LANDMARKS, 4), np.arange(4 * POSE_LANDMARKS, LANDMARK_COLUMNS, 3)]
)
X, Y, Z = _FIRST, _FIRST + 1, _FIRST + 2
# landmark number of each wrist, and the landmarks of its hand
HANDS = {15: slice(33, 54), 16: slice(54, 75)}
COORDINATES = np.sort(np.concatenate([X, Y, Z]))


def clip_generator(seed: int, epoch: int, clip_id: str, copy: int = 0) -> np.random.Generator:
    """Return the generator of one clip in one epoch; `copy` counts its repeats within the epoch."""
    digest = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "little")
    return np.random.default_rng([seed, epoch, digest, copy])


def augment(
    features: Array, mask: Mask, params: AugmentParams, rng: np.random.Generator
) -> tuple[Array, Mask]:
    """Return an augmented copy of one view; its length may differ but is at least 1.

    A body without depth is not turned: that would narrow it and give it a depth of its own.
    """
    flat = not np.nan_to_num(features[:, Z]).any()  # poses of a picture, without depth
    features, mask = augment_time(features, mask, params, rng)
    if rng.random() < params.body_p:
        features = other_body(features, params.body, rng)
    if rng.random() < params.rotation_p:
        angle = math.radians(rng.uniform(-params.rotation, params.rotation))
        features = features if flat else rotate(features, angle)
    if rng.random() < params.noise_p:
        features = add_noise(features, params.noise, rng)
    return features, mask


def augment_time(
    features: Array, mask: npt.NDArray[Any], params: AugmentParams, rng: np.random.Generator
) -> tuple[Array, npt.NDArray[Any]]:
    """Return rows of any layout after time warp, frame dropout and shift; at least one row."""
    if rng.random() < params.time_warp_p:
        factor = 1 + rng.uniform(-params.time_warp, params.time_warp)
        features, mask = resample(features, mask, max(1, round(len(features) * factor)))
    if rng.random() < params.frame_dropout_p:
        kept = drop_frames(len(features), params.frame_dropout, rng)
        features, mask = features[kept], mask[kept]
    if rng.random() < params.shift_p:
        moved = shifted(len(features), int(rng.integers(-params.shift, params.shift + 1)))
        features, mask = features[moved], mask[moved]
    return features, mask


def resample(features: Array, mask: Mask, frames: int) -> tuple[Array, Mask]:
    """Return the clip stretched to `frames` frames by linear interpolation; the first and last frame stay.

    If one of the two neighbours lacks a part, the nearer one is copied, so that features and mask agree.
    """
    at = np.linspace(0, len(features) - 1, frames)
    low = np.floor(at).astype(np.intp)
    high = np.minimum(low + 1, len(features) - 1)
    nearest = np.rint(at).astype(np.intp)
    weight = (at - low).astype(np.float32)[:, None]
    blend = features[low] * (1 - weight) + features[high] * weight
    return np.where(np.isnan(blend), features[nearest], blend), mask[nearest]


def drop_frames(frames: int, share: float, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return the remaining frames, at least one, after dropping each with probability `share`."""
    kept = np.flatnonzero(rng.random(frames) >= share)
    return kept if len(kept) else rng.integers(0, frames, 1)


def shifted(frames: int, by: int) -> npt.NDArray[np.intp]:
    """Return the frame at each place after moving a clip `by` frames later; the edges are repeated."""
    return np.clip(np.arange(frames) - by, 0, frames - 1)


def rotate(features: Array, angle: float) -> Array:
    """Rotate pose, hands and face as one body by `angle` radians about the vertical axis, not visibility."""
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    turned = features.copy()
    turned[:, X] = cos * features[:, X] + sin * features[:, Z]
    turned[:, Z] = cos * features[:, Z] - sin * features[:, X]
    return turned


def other_body(features: Array, amount: float, rng: np.random.Generator) -> Array:
    """Change the signer's proportions for the whole clip, but not visibility.

    Each axis is scaled by 1 +- `amount`, and each landmark of pose and face moves by a constant offset with
    deviation `amount` / 3. A hand moves with its wrist, by the same offset.
    """
    scale = rng.uniform(1 - amount, 1 + amount, 3).astype(np.float32)
    offsets = rng.normal(0, amount / 3, (len(X), 3)).astype(np.float32)
    for wrist, hand in HANDS.items():
        offsets[hand] = offsets[wrist]
    changed = features.copy()
    for axis, columns in enumerate((X, Y, Z)):
        changed[:, columns] = features[:, columns] * scale[axis] + offsets[:, axis]
    return changed


def add_noise(features: Array, deviation: float, rng: np.random.Generator) -> Array:
    """Add Gaussian noise of `deviation` body units to coordinates but not to visibility; NaN stays NaN."""
    noisy = features.copy()
    draws = rng.standard_normal((len(features), len(COORDINATES)), dtype=np.float32)
    noisy[:, COORDINATES] += np.float32(deviation) * draws
    return noisy


def random_crop(features: Array, mask: Mask, longest: int, rng: np.random.Generator) -> tuple[Array, Mask]:
    """Return `longest` successive frames from a random place, or the whole clip if it is not longer."""
    start = int(rng.integers(0, max(len(features) - longest, 0) + 1))
    return features[start : start + longest], mask[start : start + longest]


def centre_crop(features: Array, mask: Mask, longest: int) -> tuple[Array, Mask]:
    """Return the middle `longest` frames, or the whole clip if it is not longer; used outside training."""
    start = max(len(features) - longest, 0) // 2
    return features[start : start + longest], mask[start : start + longest]


def half_views(features: Array, mask: Mask) -> list[tuple[Array, Mask]]:
    """Return the even and the odd frames as two views; a single frame is in both."""
    odd = slice(1, None, 2) if len(features) > 1 else slice(0, 1)
    return [(features[::2], mask[::2]), (features[odd], mask[odd])]
