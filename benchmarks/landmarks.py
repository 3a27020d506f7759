"""Compare landmark tracking by the stage's warm workers on all cores: both engines, and plain loops.

    python -m benchmarks.landmarks --videos data/demo/videos --clips 12

The plain loop is one process that decodes with OpenCV and makes one MediaPipe graph per clip, as MediaPipe's
examples do. It runs once on all cores and, where the system allows it (not on macOS), once pinned to one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pandas as pd

from benchmarks import say_ratio
from signloom.features.partial_shard import clip_tasks, join_clips, read_shard_list
from signloom.features.pose.landmarks import track_clips
from signloom.features.pose.layout import RAW_DIM
from signloom.native_stderr import only_errors
from signloom.params.load import load_params
from signloom.processors import usable_cores

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")


def plain_loop(videos: list[Path], one_core: bool) -> int:
    """Return the number of frames tracked by one process with a new graph per clip."""
    if one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from mediapipe.python.solutions.holistic import Holistic

    frames = 0
    for video in videos:
        capture = cv2.VideoCapture(str(video))
        with Holistic() as graph:
            while True:
                found, image = capture.read()
                if not found:
                    break
                graph.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                frames += 1
        capture.release()
    return frames


def stage(videos: list[Path], workers: int, engine: str) -> int:
    """Return the number of frames tracked by the stage's own code, start of the workers included."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = pd.DataFrame({"clip_id": [video.name for video in videos], "video_path": videos})
        table.assign(start_s="", end_s="", video_hash="").to_csv(folder / "shard.csv", index=False)
        tasks = clip_tasks(read_shard_list(folder / "shard.csv"), folder)
        landmarks = load_params(Path("params.yaml")).landmarks
        track_clips(tasks, landmarks.model_copy(update={"max_fps": None, "engine": engine}), workers)
        join_clips(tasks, folder / "x.npy", folder / "x.parquet", RAW_DIM)
        return int(pd.read_parquet(folder / "x.parquet", columns=["length"])["length"].sum())


def speed(work: Callable[..., int], *arguments: object) -> float:
    """Return frames a second of `work` in a new process, imports included."""
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    started = time.perf_counter()
    process = context.Process(target=_answer, args=(answer, work, arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} failed")
    return float(answer.get()) / (time.perf_counter() - started)


def _answer(queue: object, work: Callable[..., int], arguments: tuple[object, ...]) -> None:
    queue.put(work(*arguments))  # type: ignore[attr-defined]


def main() -> None:
    """Measure; print a row of a Markdown table and the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, required=True, help="folder of videos")
    parser.add_argument(
        "--clips", type=int, default=12, help="number of videos to use, in the order of their names"
    )
    args = parser.parse_args()
    videos = sorted(path for path in args.videos.rglob("*") if path.suffix.lower() in SUFFIXES)[: args.clips]
    if not videos:
        raise SystemExit(f"no video under {args.videos}")
    cores = usable_cores()
    ours = speed(stage, videos, cores, "signloom")
    graph = speed(stage, videos, cores, "mediapipe")
    loop = speed(plain_loop, videos, False)
    against_pinned = "the loop cannot be pinned here"
    if hasattr(os, "sched_setaffinity"):
        pinned = speed(plain_loop, videos, True)
        against_pinned = f"{ours / pinned:.2f}x the loop pinned to one core ({pinned:.1f})"
    print(f"{len(videos)} clips")
    print(
        f"| landmarks | {cores} cores | {ours:.1f} frames/s | {ours / graph:.2f}x the stage with "
        f"engine mediapipe ({graph:.1f}) | {ours / loop:.2f}x the one-process loop ({loop:.1f}) | "
        f"{against_pinned} |"
    )
    say_ratio("against the stage with MediaPipe's graph", ours / graph)
    say_ratio("against one process with MediaPipe's graph", ours / loop)


if __name__ == "__main__":
    with only_errors():
        main()
