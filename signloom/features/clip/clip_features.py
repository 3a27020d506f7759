"""Stage clip_features: run a shard's clips through a video network, resumable clip by clip."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.backbones.backbone import Backbone, load_backbone
from signloom.features.backbones.compiled import Rows, fast_rows
from signloom.features.backbones.registry import BACKBONES
from signloom.features.clip.clip_shard import INDEX_COLUMNS, OpenClip
from signloom.features.clip.dense import Slider, to_tensor
from signloom.features.partial_shard import ClipTask, join_clips
from signloom.params.clips import ClipFeaturesParams
from signloom.precision import warn_if_emulated
from signloom.progress import track
from signloom.video.decode import Frame, VideoUnreadable, open_video
from signloom.video.windows import Cropper, completed, resampled, windows

Picture = NDArray[np.uint8]
# yields a clip's frames as network input: resampled, cropped and perhaps augmented
Source = Callable[[OpenClip, ClipFeaturesParams], Iterator[Frame]]


def plain_frames(clip: OpenClip, params: ClipFeaturesParams) -> Iterator[Frame]:
    """Yield the resampled frames of `clip`, images (crop, crop, 3), and store frame rate and size in `clip`.

    Raises VideoUnreadable if the clip cannot be read to its end.
    """
    before: Frame | None = None
    cropper: Cropper | None = None
    with open_video(clip.task.video, clip.task.folder_fps) as video:
        clip.fps = video.fps
        frames = video.frames(clip.task.start_s, clip.task.end_s)
        for frame in resampled(frames, params.extraction_fps):
            if before is None or frame.number != before.number:
                if cropper is None:
                    clip.height, clip.width = frame.image.shape[:2]
                    cropper = Cropper(clip.height, clip.width, params.resize, params.crop)
                before = frame._replace(image=cropper(frame.image))
            yield before


def one_thread() -> None:
    """Limit this process to one thread: sums depend on the thread count, and shards run side by side."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def write_clip_shard(
    tasks: Sequence[ClipTask],
    npy: Path,
    index: Path,
    params: ClipFeaturesParams,
    stage: str,
    source: Source = plain_frames,
) -> None:
    """Write the rows of `tasks`, in their order, to `npy` float32 (rows, dim) and the table `index`.

    Raises SignloomError as `load_backbone` and `extract` do.
    """
    made_by: dict[str, str] = {}
    if tasks:
        one_thread()
        backbone = load_backbone(params)
        extract(tasks, backbone, params, stage, source)
        made_by = {
            "backbone": backbone.spec.name,
            "weights": backbone.weights_name,
            "weights_sha256": backbone.weights_sha256,
            "mode": params.mode,
        }
    join_clips(tasks, npy, index, BACKBONES[params.backbone].dim, INDEX_COLUMNS, made_by)


def extract(
    tasks: Sequence[ClipTask],
    backbone: Backbone,
    params: ClipFeaturesParams,
    stage: str,
    source: Source = plain_frames,
) -> None:
    """Run every clip of `tasks` that has no journal yet through `backbone`; see `partial_shard`.

    Raises SignloomError if the parameters contradict each other.
    """
    if params.crop > params.resize:
        raise SignloomError(
            f"clip_features.crop {params.crop} is larger than clip_features.resize {params.resize}; "
            "lower crop or raise resize"
        )
    todo = [task for task in tasks if not task.journal.exists()]
    if len(todo) < len(tasks):
        print(f"{stage}: {len(tasks) - len(todo)} clips are already finished", file=sys.stderr)
    if not todo:
        return
    warn_if_emulated("clip_features.precision", params.precision, "convolution")
    started = time.monotonic()
    if params.mode == "dense":
        finished = _dense(todo, Slider(backbone, params), params, source)
    else:
        finished = _windowed(todo, backbone, params, source)
    frames = rows = 0
    for clip in track(finished, stage, len(todo)):
        clip.finish(params)
        frames += len(clip.numbers)
        rows += clip.rows
    seconds = time.monotonic() - started
    print(
        f"{stage}: {len(todo)} clips, {frames} frames, {rows} rows in {seconds:.1f} s: "
        f"{frames / seconds:.1f} frames/s, {rows / seconds:.2f} rows/s, {backbone.spec.name} "
        f"({backbone.weights_name}) {params.mode} on {backbone.device}",
        file=sys.stderr,
    )


def _pictures(clip: OpenClip, params: ClipFeaturesParams, source: Source) -> Iterator[Picture]:
    for frame in source(clip, params):
        clip.note(frame)
        yield frame.image


def _dense(
    todo: Sequence[ClipTask], slider: Slider, params: ClipFeaturesParams, source: Source
) -> Iterator[OpenClip]:
    for task in todo:
        clip = OpenClip(task)
        try:
            pictures = completed(_pictures(clip, params, source), params.stack_size, params.step_size)
            for rows in slider.rows(pictures):
                clip.append(rows[: clip.expected(params) - clip.rows])
        except VideoUnreadable as error:
            clip.reject(str(error))
        yield clip


@dataclass
class _Batch:
    """A batch of windows from one or more clips."""

    rows: Rows
    device: torch.device
    size: int
    held: list[tuple[OpenClip, list[Picture]]] = field(default_factory=list)

    def add(self, clip: OpenClip, window: list[Picture]) -> None:
        self.held.append((clip, window))
        if len(self.held) == self.size:
            self.run()

    def run(self) -> None:
        """Compute the windows of the batch and write their rows."""
        if not self.held:
            return
        full = [window for _, window in self.held]
        # always the same shape, so that a row does not depend on which clips are already finished
        full += [full[-1]] * (self.size - len(full))
        rows = self.rows(to_tensor(full, self.device)).numpy()
        for number, (clip, _) in enumerate(self.held):
            clip.append(rows[number : number + 1])
        self.held = []

    def drop(self, clip: OpenClip) -> None:
        """Remove the windows of an unreadable clip."""
        self.held = [(owner, window) for owner, window in self.held if owner is not clip]


def _windowed(
    todo: Sequence[ClipTask], backbone: Backbone, params: ClipFeaturesParams, source: Source
) -> Iterator[OpenClip]:
    size = params.batch_size
    rows = fast_rows(backbone, (size, params.stack_size, params.crop, params.crop))
    batch = _Batch(rows, backbone.device, size)
    unfinished: deque[OpenClip] = deque()
    for task in todo:
        clip = OpenClip(task)
        unfinished.append(clip)
        try:
            for window in windows(_pictures(clip, params, source), params.stack_size, params.step_size):
                batch.add(clip, window)
        except VideoUnreadable as error:
            batch.drop(clip)
            clip.reject(str(error))
        clip.read = True
        yield from _done(unfinished, params)
    batch.run()
    yield from _done(unfinished, params)


def _done(unfinished: deque[OpenClip], params: ClipFeaturesParams) -> Iterator[OpenClip]:
    """Remove and yield, in order, the clips at the front whose rows are all written."""
    while unfinished and unfinished[0].read and unfinished[0].rows == unfinished[0].expected(params):
        yield unfinished.popleft()
