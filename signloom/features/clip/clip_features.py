"""Stage clip_features: run a shard's clips through a video network, resumable clip by clip."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.backbones.compiled import CompiledNetwork, VideoNetwork, open_network
from signloom.features.backbones.registry import BACKBONES
from signloom.features.backbones.weights import find_weights
from signloom.features.clip.clip_shard import INDEX_COLUMNS, OpenClip
from signloom.features.partial_shard import ClipTask, join_clips
from signloom.params.clips import ClipFeaturesParams
from signloom.progress import track
from signloom.video.decode import Frame, VideoUnreadable, open_video
from signloom.video.windows import Cropper, completed, resampled, windows

if TYPE_CHECKING:
    from signloom.features.clip.dense import Slider

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


def write_clip_shard(
    tasks: Sequence[ClipTask],
    npy: Path,
    index: Path,
    params: ClipFeaturesParams,
    stage: str,
    networks: Path,
    source: Source = plain_frames,
) -> None:
    """Write the rows of `tasks`, in their order, to `npy` float32 (rows, dim) and the table `index`.

    `networks` is the folder of converted networks. Raises SignloomError as `open_network` and `extract` do.
    """
    spec, made_by = BACKBONES[params.backbone], dict[str, str]()
    if tasks:
        if any(not task.journal.exists() for task in tasks):
            extract(tasks, open_network(params, networks), params, stage, source)
        found = find_weights(spec, params.weights, params.weights_sha256)
        made_by = {
            "backbone": spec.name,
            "weights": found.name,
            "weights_sha256": found.sha256,
            "mode": params.mode,
        }
    join_clips(tasks, npy, index, spec.dim, INDEX_COLUMNS, made_by)


def extract(
    tasks: Sequence[ClipTask],
    network: VideoNetwork,
    params: ClipFeaturesParams,
    stage: str,
    source: Source = plain_frames,
) -> None:
    """Run every clip of `tasks` that has no journal yet through `network`; see `partial_shard`.

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
    cv2.setNumThreads(1)  # shards run side by side
    started = time.monotonic()
    if isinstance(network, CompiledNetwork) or params.mode != "dense":
        finished = _windowed(todo, network, params, source)
    else:
        from signloom.features.clip.dense import Slider  # loads PyTorch

        finished = _dense(todo, Slider(network, params), params, source)
    frames = rows = 0
    for clip in track(finished, stage, len(todo)):
        clip.finish(params)
        frames += len(clip.numbers)
        rows += clip.rows
    seconds = time.monotonic() - started
    print(
        f"{stage}: {len(todo)} clips, {frames} frames, {rows} rows in {seconds:.1f} s: "
        f"{frames / seconds:.1f} frames/s, {rows / seconds:.2f} rows/s, {network.spec.name} "
        f"({network.weights_name}) {params.mode} on {network.device}",
        file=sys.stderr,
    )


def _pictures(clip: OpenClip, params: ClipFeaturesParams, source: Source) -> Iterator[Picture]:
    for frame in source(clip, params):
        clip.note(frame)
        yield frame.image


def _dense(
    todo: Sequence[ClipTask], slider: "Slider", params: ClipFeaturesParams, source: Source
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

    network: VideoNetwork
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
        rows = self.network.of_windows(full)
        for number, (clip, _) in enumerate(self.held):
            clip.append(rows[number : number + 1])
        self.held = []

    def drop(self, clip: OpenClip) -> None:
        """Remove the windows of an unreadable clip."""
        self.held = [(owner, window) for owner, window in self.held if owner is not clip]


def _windowed(
    todo: Sequence[ClipTask], network: VideoNetwork, params: ClipFeaturesParams, source: Source
) -> Iterator[OpenClip]:
    batch = _Batch(network, params.batch_size)
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
