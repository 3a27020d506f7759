"""Frame augmentation by level: one random draw per clip, applied to its frames as a stream.

A clip is (T, H, W, 3), RGB with values 0 to 1 and T at least 1. Augmentation in time is an ascending list of
source frames, so that a clip never has to be in memory as a whole. Nothing flips left and right, because that
changes the meaning in a sign language.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pydantic.dataclasses
import yaml
from numpy.typing import NDArray

T = TypeVar("T")
Array = NDArray[np.float32]
Order = NDArray[np.intp]
Box = tuple[float, float, float, float]
# weights of red, green and blue in luminance: ITU-R BT.601
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SMALLEST_SIDE = 0.1


@pydantic.dataclasses.dataclass(frozen=True)
class Level:
    """The augmentations of a level: `<name>_p` is the probability of each, the other values its strength."""

    rotation: float = 0.0  # degrees either way
    rotation_p: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    scale_p: float = 0.0
    jitter: tuple[float, float, float] = (0.0, 0.0, 0.0)  # brightness, contrast, saturation: factor 1 +- this
    jitter_p: float = 0.0
    noise: float = 0.0  # standard deviation
    noise_p: float = 0.0
    blur: int = 3  # side of the kernel in pixels
    blur_p: float = 0.0
    masks: int = 0
    mask: float = 0.0  # longest side as a share of the picture's
    mask_p: float = 0.0
    speeds: tuple[float, ...] = (1.0,)
    speed_p: float = 0.0
    drop: float = 0.0  # share of frames
    duplicate: float = 0.0  # share of frames
    jitter_time_p: float = 0.0
    time_masks: int = 0
    time_mask: int = 0  # longest, in frames
    time_mask_p: float = 0.0
    shift: int = 5  # frames either way
    shift_p: float = 0.0


LEVELS: dict[str, Level] = {
    name: Level(**values)
    for name, values in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8")).items()
}


@dataclass(frozen=True)
class Draw:
    """The augmentation drawn for one copy of a clip."""

    order: Order  # source frame of every frame of the copy
    dark: NDArray[np.bool_]  # frames of the copy that are masked
    angle: float = 0.0
    zoom: float = 1.0
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: int = 0
    boxes: tuple[Box, ...] = ()
    noise: float = 0.0
    noise_seed: int = 0


def copy_generator(seed: int, copy: int, clip_id: str) -> np.random.Generator:
    """Return the generator of one augmented copy of a clip, independent of process and order."""
    digest = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "little")
    return np.random.default_rng([seed, copy, digest])


def draw(level: Level, frames: int, rng: np.random.Generator) -> Draw:
    """Draw the augmentation of a clip of `frames` frames, at least 1; no sign is cut off."""
    angle = float(rng.uniform(-level.rotation, level.rotation)) if rng.random() < level.rotation_p else 0.0
    zoom = float(rng.uniform(*level.scale)) if rng.random() < level.scale_p else 1.0
    colour = (1.0, 1.0, 1.0)
    if rng.random() < level.jitter_p:
        brightness, contrast, saturation = (float(rng.uniform(1 - by, 1 + by)) for by in level.jitter)
        colour = (brightness, contrast, saturation)
    noise = level.noise if rng.random() < level.noise_p else 0.0
    blur = level.blur if rng.random() < level.blur_p else 0
    boxes = draw_boxes(level.masks, level.mask, rng) if rng.random() < level.mask_p else ()
    order = np.arange(frames)
    if rng.random() < level.speed_p:
        order = order[at_speed(frames, float(rng.choice(level.speeds)))]
    if rng.random() < level.jitter_time_p:
        order = order[jitter_time(len(order), level.drop, level.duplicate, rng)]
    if rng.random() < level.shift_p:
        order = order[shifted(len(order), int(rng.integers(-level.shift, level.shift + 1)))]
    dark = np.zeros(len(order), bool)
    if rng.random() < level.time_mask_p:
        dark = time_mask(len(order), level.time_masks, level.time_mask, rng)
    return Draw(order, dark, angle, zoom, colour, blur, boxes, noise, int(rng.integers(2**63)))


def pick(items: Iterable[T], order: Order) -> Iterator[T]:
    """Yield the items with the numbers in `order`, which must not descend, from a stream."""
    source = enumerate(items)
    number = -1
    for wanted in order:
        while number < wanted:
            number, item = next(source)
        yield item


def alter(frame: Array, plan: Draw, place: int) -> Array:
    """Return `frame` (H, W, 3) as frame `place` of the copy: turned, recoloured, blurred, noisy, covered.

    All frames of the clip change in the same way, except that the noise differs from frame to frame.
    """
    if plan.dark[place]:
        return np.zeros_like(frame)
    if plan.angle or plan.zoom != 1:
        frame = turn(frame, plan.angle, plan.zoom)
    if plan.colour != (1.0, 1.0, 1.0):
        frame = recolour(frame, *plan.colour)
    if plan.blur:
        frame = blur(frame, plan.blur)
    if plan.noise:
        frame = add_noise(frame, plan.noise, np.random.default_rng([plan.noise_seed, place]))
    return cover(frame, plan.boxes) if plan.boxes else frame


def turn(frame: Array, angle: float, zoom: float) -> Array:
    """Rotate by `angle` degrees counter-clockwise about the middle and enlarge by `zoom`; edges repeat."""
    height, width = frame.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
    turned = cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.float32).reshape(frame.shape)


def recolour(frame: Array, brightness: float, contrast: float, saturation: float) -> Array:
    """Scale brightness, then contrast (distance to mean grey), then saturation (distance to pixel grey)."""
    bright = np.clip(frame * np.float32(brightness), 0, 1)
    middle = np.float32((bright @ _LUMA).mean())
    firm = np.clip(middle + (bright - middle) * np.float32(contrast), 0, 1)
    grey = (firm @ _LUMA)[..., None]
    return np.asarray(np.clip(grey + (firm - grey) * np.float32(saturation), 0, 1), np.float32)


def blur(frame: Array, kernel: int) -> Array:
    """Blur with a Gaussian kernel of odd side `kernel` and OpenCV's default deviation for that side."""
    blurred = cv2.GaussianBlur(frame, (kernel, kernel), 0, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32).reshape(frame.shape)


def add_noise(frame: Array, deviation: float, rng: np.random.Generator) -> Array:
    """Add Gaussian noise of `deviation`; values stay in 0 to 1."""
    noise = rng.standard_normal(frame.shape, dtype=np.float32)
    return np.clip(frame + np.float32(deviation) * noise, 0, 1)


def draw_boxes(count: int, longest: float, rng: np.random.Generator) -> tuple[Box, ...]:
    """Return `count` boxes (top, left, height, width) as shares of the picture, sides 0.1 to `longest`."""
    boxes = []
    for _ in range(count):
        height, width = rng.uniform(_SMALLEST_SIDE, longest, 2)
        boxes.append(
            (float(rng.uniform(0, 1 - height)), float(rng.uniform(0, 1 - width)), float(height), float(width))
        )
    return tuple(boxes)


def cover(frame: Array, boxes: Sequence[Box]) -> Array:
    """Black out `boxes`."""
    covered = frame.copy()
    for top, left, tall, wide in boxes:
        first = round(top * frame.shape[0]), round(left * frame.shape[1])
        size = max(1, round(tall * frame.shape[0])), max(1, round(wide * frame.shape[1]))
        covered[first[0] : first[0] + size[0], first[1] : first[1] + size[1]] = 0
    return covered


def at_speed(frames: int, speed: float) -> Order:
    """Return the frames of a clip at `speed` times its speed: round(frames / speed), at least 1."""
    count = max(1, round(frames / speed))
    return np.minimum(((np.arange(count) + 0.5) * frames / count).astype(np.intp), frames - 1)


def jitter_time(frames: int, drop: float, duplicate: float, rng: np.random.Generator) -> Order:
    """Drop each frame with probability `drop`, else repeat it with probability `duplicate`.

    Returns the numbers of the remaining frames, at least one.
    """
    times = np.where(rng.random(frames) < drop, 0, 1 + (rng.random(frames) < duplicate))
    order = np.repeat(np.arange(frames), times)
    return order if len(order) else rng.integers(0, frames, 1)


def shifted(frames: int, by: int) -> Order:
    """Return the frame at each place after moving a clip `by` frames later; the edges are repeated."""
    return np.clip(np.arange(frames) - by, 0, frames - 1)


def time_mask(frames: int, count: int, longest: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which frames to mask: `count` runs of 1 to `longest` frames, but never all frames."""
    dark = np.zeros(frames, bool)
    for _ in range(count):
        length = min(int(rng.integers(1, longest + 1)), frames - 1)
        first = int(rng.integers(0, frames - length + 1))
        dark[first : first + length] = True
    if dark.all():
        dark[int(rng.integers(frames))] = False
    return dark
