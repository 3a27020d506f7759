"""Compare the motion of people with the tracker's jitter on frozen frames, and measure the scale's stability.

    python -m benchmarks.motion --videos data/demo/videos --clips 12

Every clip is measured as it is, and then with one of its frames repeated, with and without sensor noise.
`quality.motion_floor` belongs between these groups, `quality.motion_keep` above the jitter's 95th percentile.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose.pose_features import (
    body_sizes,
    landmarks_to_features,
    normalise,
    one_space,
)
from signloom.features.pose.raw_clip import RawClip
from signloom.features.pose.tracker import HolisticTracker
from signloom.native_stderr import only_errors
from signloom.params.load import load_params
from signloom.video.decode import read_frames

PARAMS = load_params(Path("params.yaml"))
POSE = PARAMS.pose.model_copy(update={"fps": 25.0, "max_gap": 5})  # as every frame is tracked
OPEN = PARAMS.quality.model_copy(update={"motion_keep": 0.0, "motion_floor": 0.0})
FROZEN_FRAMES = 60
NOISE = 3.0
EYES = (2, 5)


def measure(tracker: HolisticTracker, images: Iterable[NDArray[np.uint8]], times: list[float]) -> RawClip:
    """Return the landmarks of `images`, whose times in seconds are `times`."""
    tracker.restart()
    rows, shape = [], (0, 0)
    for image in images:
        rows.append(tracker.landmarks(image))
        shape = image.shape[:2]
    return RawClip(np.stack(rows), np.array(times), np.arange(len(rows)), shape[1], shape[0])


def motion(clip: RawClip) -> tuple[float, float]:
    """Return mean and 95th percentile of a clip's motion, shoulder widths a second."""
    found = landmarks_to_features(clip, POSE, OPEN).diagnostics
    return found["motion_mean"], found["motion_p95"]


def steadiness(clip: RawClip) -> tuple[float, float, float]:
    """Return deviation / mean of the body's size, and of the eyes' distance by clip and by frame scale."""
    body = one_space(clip)
    sizes = body_sizes(body["pose"])
    spreads = []
    for scale in ("clip", "frame"):
        pose = normalise(body, scale)["pose"]
        eyes = np.linalg.norm(pose[:, EYES[0], :2] - pose[:, EYES[1], :2], axis=-1)
        spreads.append(float(np.nanstd(eyes) / np.nanmean(eyes)))
    return float(np.nanstd(sizes) / np.nanmean(sizes)), spreads[0], spreads[1]


def main() -> None:
    """Measure and print one line per clip."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--videos", type=Path, required=True, help="folder of readable .mp4 files with people"
    )
    parser.add_argument(
        "--clips", type=int, default=12, help="number of videos to use, in the order of their names"
    )
    parser.add_argument(
        "--frame", type=float, default=0.5, help="position of the frozen frame, as a share of the clip"
    )
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    times = [number / 25 for number in range(FROZEN_FRAMES)]
    print("| clip | motion mean, p95 | frozen | with noise | size | eyes, clip scale | eyes, frame scale |")
    print("|---|---|---|---|---|---|---|")
    with HolisticTracker(PARAMS.landmarks) as tracker:
        for video in sorted(args.videos.rglob("*.mp4"))[: args.clips]:
            frames = list(read_frames(video))
            clip = measure(tracker, (frame.image for frame in frames), [frame.time_s for frame in frames])
            image = frames[min(int(len(frames) * args.frame), len(frames) - 1)].image
            noisy = (
                np.clip(image + rng.normal(0, NOISE, image.shape), 0, 255).astype(np.uint8) for _ in times
            )
            moved = [motion(clip), motion(measure(tracker, [image] * len(times), times))]
            moved.append(motion(measure(tracker, noisy, times)))
            cells = [f"{mean:.3f}, {high:.3f}" for mean, high in moved]
            cells += [f"{spread:.2%}" for spread in steadiness(clip)]
            print(f"| {video.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    with only_errors():
        main()
