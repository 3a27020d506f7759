"""Stage landmarks: track a shard's clips in a pool of workers, resumable clip by clip.

Clips of landmark files have their landmarks already; this process copies them.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from signloom.dataset.landmark_sources import UNSET, Settings
from signloom.errors import ProcessDied
from signloom.features.partial_shard import ClipTask
from signloom.features.pose.landmark_files import holds_landmarks, read_landmarks
from signloom.features.pose.mediapipe_graph import demand_model
from signloom.features.pose.tracker import HolisticTracker
from signloom.files import atomic, write_text
from signloom.params.features import LandmarksParams
from signloom.progress import track
from signloom.video.decode import VideoUnreadable, open_video
from signloom.video.thinning import thinned

# the column of the index that the shards of landmarks have besides: `landmarks.engine`, or "file"
TRACKER = {"tracker": "str"}
_PARENT_CHECK_S = 0.5


def track_clips(
    tasks: list[ClipTask],
    params: LandmarksParams,
    workers: int,
    ready: Settings = UNSET,
) -> None:
    """Track every clip of `tasks` that has no journal yet, in at most `workers` processes.

    `ready` is what landmark files do not say. Raises SignloomError if it lacks what they need or a model
    is missing, and ProcessDied if a worker dies.
    """
    todo = [task for task in tasks if not task.journal.exists()]
    if not todo:
        return
    if len(todo) < len(tasks):
        print(f"landmarks: {len(tasks) - len(todo)} clips are already finished", file=sys.stderr)
    for task in todo:
        if holds_landmarks(task.video):
            _copy_clip(task, params.max_fps, ready)
    todo = [task for task in todo if not holds_landmarks(task.video)]
    if not todo:
        return
    demand_model(params)
    # the largest files first, so that the workers finish at about the same time
    todo.sort(key=_bytes, reverse=True)
    started = time.monotonic()
    workers = max(1, min(workers, len(todo)))
    context = multiprocessing.get_context("spawn")
    tracked = context.Value("q")  # frames so far, those of unfinished clips too: a clip may take minutes
    finished = _finished(todo, params, workers, context, tracked)
    frames = sum(track(finished, "landmarks", len(todo), note=lambda: f"{tracked.value} frames"))
    seconds = time.monotonic() - started
    print(
        f"landmarks: {len(todo)} clips, {frames} frames in {seconds:.1f} s: "
        f"{len(todo) / seconds:.2f} clips/s, {frames / seconds:.1f} frames/s with {workers} workers",
        file=sys.stderr,
    )


def _finished(
    todo: list[ClipTask],
    params: LandmarksParams,
    workers: int,
    context: SpawnContext,
    tracked: Synchronized[int],
) -> Iterator[int]:
    """Yield the number of frames of every clip when it is finished; the workers count them in `tracked`."""
    pool = ProcessPoolExecutor(workers, context, _start_worker, (params, os.getpid(), tracked))
    try:
        futures: list[Future[int]] = [pool.submit(_track_clip, task) for task in todo]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        unfinished = [task.clip_id for task in todo if not task.journal.exists()]
        raise ProcessDied(
            f"landmarks: a worker died; finished clips are kept. It was probably working on one of these: "
            f"{', '.join(unfinished[: 2 * workers])}. Read its output, check the free memory and run again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_tracker: HolisticTracker | None = None
_tracked: Synchronized[int] | None = None
_max_fps: float | None = None
_engine = ""


def _start_worker(params: LandmarksParams, parent: int, tracked: Synchronized[int]) -> None:
    """Prepare a worker process: make it end with its parent, and read the models."""
    global _tracker, _tracked, _max_fps, _engine
    _tracked, _max_fps, _engine = tracked, params.max_fps, params.engine
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _tracker = HolisticTracker(params)


def _end_with(parent: int) -> None:
    # a killed parent cannot stop its children, but their parent id changes
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os._exit(1)


def _track_clip(task: ClipTask) -> int:
    """Track one clip, write its rows and then its journal; return the number of frames."""
    if _tracker is None or _tracked is None:
        raise RuntimeError("the worker was not started")
    try:
        entry = _stream(task, _tracker, _tracked)
    except VideoUnreadable as error:
        entry = _unreadable(error)
    write_text(task.journal, json.dumps(entry))
    return int(entry["length"])


def _copy_clip(task: ClipTask, max_fps: float | None, ready: Settings) -> None:
    """Write the rows of a clip of a landmark file and then its journal."""
    try:
        raw, fps = read_landmarks(task.video, task.start_s, task.end_s, max_fps, ready)
    except VideoUnreadable as error:
        write_text(task.journal, json.dumps(_unreadable(error)))
        return
    with atomic(task.rows_file) as part:
        part.write_bytes(raw.rows.tobytes())
    entry = _entry(raw.frame_index.tolist(), raw.times.tolist(), fps, raw.width, raw.height, "file")
    write_text(task.journal, json.dumps(entry))


def _unreadable(error: VideoUnreadable) -> dict[str, Any]:
    entry = {"length": 0, "fps": math.nan, "width": 0, "height": 0, "frame_index": [], "time_s": []}
    return entry | {"status": "rejected", "reason": "unreadable", "detail": str(error), "tracker": ""}


def _entry(
    numbers: list[int], times: list[float], fps: float, width: int, height: int, tracker: str
) -> dict[str, Any]:
    """Return the journal of a clip; `numbers` and `times` belong to its rows."""
    size = {"length": len(numbers), "fps": fps, "width": width, "height": height, "tracker": tracker}
    return {**size, "frame_index": numbers, "time_s": times, "status": "ok", "reason": "", "detail": ""}


def _stream(task: ClipTask, tracker: HolisticTracker, tracked: Synchronized[int]) -> dict[str, Any]:
    tracker.restart()
    numbers: list[int] = []
    times: list[float] = []
    shape: tuple[int, ...] = (0, 0)
    with (
        atomic(task.rows_file) as part,
        part.open("wb") as file,
        open_video(task.video, task.folder_fps) as video,
    ):
        for frame in thinned(video.frames(task.start_s, task.end_s), _max_fps):
            file.write(tracker.landmarks(frame.image).data)
            with tracked.get_lock():
                tracked.value += 1
            numbers.append(frame.number)
            times.append(frame.time_s)
            shape = frame.image.shape
        fps = video.fps
    return _entry(numbers, times, fps, shape[1], shape[0], _engine)


def _bytes(task: ClipTask) -> int:
    try:
        return task.video.stat().st_size
    except OSError:
        return 0
