"""Compare the landmarks of engine signloom with those of engine mediapipe, frame by frame.

    python -m benchmarks.same_landmarks data/demo/videos --varied VIDEO ... [--pictures FOLDER]

Every video of the folder is tracked by both as it is; each VIDEO besides turned, tilted, cut to a portrait,
blurred, with a second person beside the first, and with black frames in its middle. A last table of each
VIDEO shows how far MediaPipe is from itself when the first frame is changed by at most one grey level. All
tables are in Markdown. FOLDER gets a sheet for each VIDEO, a frame of each kind with MediaPipe's landmarks
as rings around the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.layout import RAW_PARTS
from signloom.features.pose.tracker import HolisticTracker
from signloom.native_stderr import only_errors
from signloom.params.load import load_params
from signloom.processors import usable_cores
from signloom.progress import track
from signloom.video.decode import VideoUnreadable, read_frames

Frames = list[NDArray[np.uint8]]
Rows = NDArray[np.float32]
PLAIN, NOISE = "as it is", "MediaPipe and itself, noise in the first frame"
_SHEET_HEIGHT = 240
SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")


def tilted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn a picture by 25 degrees in its frame."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 25, 1)
    turned: NDArray[np.uint8] = cv2.warpAffine(image, turn, (width, height))
    return turned


def portrait(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut out the middle, 9 wide and 16 high."""
    height, width = image.shape[:2]
    cut = min(width, height * 9 // 16)
    return np.ascontiguousarray(image[:, (width - cut) // 2 : (width + cut) // 2])


def each(change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Callable[[Frames], Frames]:
    """Return a change of frames that changes each picture."""
    return lambda frames: [change(frame) for frame in frames]


def interrupted(frames: Frames) -> Frames:
    """Make four frames in the middle black."""
    first = max(0, len(frames) // 2 - 2)
    return [frame * 0 if first <= n < first + 4 else frame for n, frame in enumerate(frames)]


KINDS: dict[str, Callable[[Frames], Frames]] = {
    PLAIN: lambda frames: frames,
    "turned by 90 degrees": each(lambda image: np.ascontiguousarray(np.rot90(image))),
    "tilted by 25 degrees": each(tilted),
    "portrait": each(portrait),
    "blurred": each(lambda image: cv2.GaussianBlur(image, (0, 0), 4)),
    "two people": each(lambda image: np.ascontiguousarray(np.concatenate([image, image[:, ::-1]], axis=1))),
    "four frames black": interrupted,
}


class Pair(NamedTuple):
    """The landmarks of two engines (T, 1662), the size of the pictures, and one of them with both."""

    one: Rows
    other: Rows
    width: int
    height: int
    drawn: NDArray[np.uint8]


def rows(frames: Iterable[NDArray[np.uint8]], engine: str) -> Rows:
    """Track frames in a new tracker."""
    landmarks = load_params(Path("params.yaml")).landmarks.model_copy(update={"engine": engine})
    with HolisticTracker(landmarks) as tracker:
        return np.stack([tracker.landmarks(frame) for frame in frames])


def compare(video: Path, kind: str) -> Pair:
    """Track a video by both engines, or by MediaPipe twice where `kind` is the noise."""
    frames = [frame.image for frame in read_frames(video)]
    other = "signloom"
    if kind == NOISE:
        changed, other = list(frames), "mediapipe"
        noise = np.random.default_rng(0).integers(-1, 2, frames[0].shape)
        changed[0] = (frames[0] + noise).clip(0, 255).astype(np.uint8)
    else:
        changed = frames = KINDS[kind](frames)
    one, two = rows(frames, "mediapipe"), rows(changed, other)
    height, width = frames[0].shape[:2]
    middle = len(frames) // 3
    return Pair(one, two, width, height, drawn(frames[middle], one[middle], two[middle]))


def drawn(image: NDArray[np.uint8], one: Rows, other: Rows) -> NDArray[np.uint8]:
    """Return a small picture with the landmarks of one engine as rings around the dots of the other."""
    size = np.array([image.shape[1], image.shape[0]])
    canvas = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    for columns in RAW_PARTS.values():
        step = 4 if columns.start == 0 else 3
        for row, radius, colour, line in ((one, 4, (255, 200, 0), 1), (other, 1, (0, 0, 255), -1)):
            points = row[columns].reshape(-1, step)[:, :2] * size
            for x, y in points[np.isfinite(points).all(axis=1)].round().astype(int).tolist():
                cv2.circle(canvas, (x, y), radius, colour, line)
    scale = _SHEET_HEIGHT / image.shape[0]
    small: NDArray[np.uint8] = cv2.resize(
        canvas, (round(image.shape[1] * scale), _SHEET_HEIGHT), interpolation=cv2.INTER_AREA
    )
    return small


def table(pairs: list[Pair]) -> list[str]:
    """Return a Markdown row for each part, over all frames of `pairs`."""
    lines = []
    for part, columns in RAW_PARTS.items():
        step = 4 if columns.start == 0 else 3
        same, differences, visible, equal = [], [], [], 0
        for pair in pairs:
            one, other = (rows[:, columns].reshape(len(rows), -1, step) for rows in (pair.one, pair.other))
            found = [np.isfinite(points[:, 0, 0]) for points in (one, other)]
            same.append(found[0] == found[1])
            both = found[0] & found[1]
            apart = np.abs(one[both].astype(np.float64) - other[both])
            equal += int((apart == 0).all(axis=(1, 2)).sum())
            differences.append(apart[..., :3] * (pair.width, pair.height, pair.width))
            visible.append(apart[..., 3:])
        apart, seen = (
            np.concatenate([part.reshape(-1) for part in parts]) for parts in (differences, visible)
        )
        frames = sum(len(part) for part in differences)
        cells = [part, str(sum(map(len, same))), f"{np.concatenate(same).mean():.4f}", f"{equal} of {frames}"]
        cells += [quantiles(apart, 3), quantiles(seen, 4)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def quantiles(values: NDArray[np.float64], digits: int) -> str:
    """Return the median, the 99th percentile and the maximum."""
    if not len(values):
        return "–"
    return ", ".join(f"{value:.{digits}f}" for value in (*np.percentile(values, [50, 99]), values.max()))


def main() -> None:
    """Measure and print a table for each kind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, help="folder of videos")
    parser.add_argument(
        "--clips", type=int, help="number of its videos to use, evenly spaced; all if not given"
    )
    parser.add_argument("--varied", type=Path, nargs="*", default=[], metavar="VIDEO")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    found = sorted(path for path in args.videos.rglob("*") if path.suffix.lower() in SUFFIXES)
    found = [path for path in found if any(True for _ in readable(path))]
    chosen = found[:: max(1, len(found) // (args.clips or len(found)))][: args.clips]
    jobs = [(video, PLAIN) for video in chosen]
    jobs += [(video, kind) for video in args.varied for kind in (*KINDS, NOISE)]
    with ProcessPoolExecutor(usable_cores()) as pool:
        pairs = list(track(pool.map(compare, *zip(*jobs, strict=True)), "landmarks", len(jobs)))
    say(f"{len(chosen)} videos of {args.videos}", pairs[: len(chosen)])
    varied = list(zip(jobs, pairs, strict=True))[len(chosen) :]
    for (video, kind), pair in varied:
        say(f"{video.name}, {kind}", [pair])
    for video in args.varied if args.pictures else ():
        sheet = [pair.drawn for (source, kind), pair in varied if source == video and kind != NOISE]
        cv2.imwrite(str(args.pictures / f"{video.stem}.jpg"), np.concatenate(sheet, axis=1))


def say(title: str, pairs: list[Pair]) -> None:
    """Print a table."""
    print(f"\n**{title}**\n")
    print("| part | frames | same presence | frames with the same bits | x, y, z in pixels | visibility |")
    print("|---|---|---|---|---|---|")
    print("\n".join(table(pairs)))


def readable(video: Path) -> Iterable[object]:
    """Return the frames of a video, none if it cannot be read."""
    with suppress(VideoUnreadable):
        yield next(iter(read_frames(video)))


if __name__ == "__main__":
    with only_errors():
        main()
