"""Answer a video, which is decoded, tracked and turned into features as the clips of the corpus are."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.landmark_files import holds_landmarks, read_landmarks
from signloom.features.pose.layout import FEATURE_DIM, RAW_DIM
from signloom.features.pose.pose_features import landmarks_to_features
from signloom.features.pose.raw_clip import RawClip
from signloom.features.pose.tracker import HolisticTracker
from signloom.inference.answer import Answer
from signloom.inference.bundle import CONFIG
from signloom.inference.company import FaceCounter, Look
from signloom.inference.engine import SignEngine
from signloom.inference.gloss_places import Place, Spans, to_seconds
from signloom.inference.networks import Clip
from signloom.params.features import GateParams, LandmarksParams, PoseParams
from signloom.video.decode import Frame, open_video
from signloom.video.thinning import thinned


class Tracker(Protocol):
    """A landmark tracker; call `restart` before every clip."""

    def restart(self) -> None:
        """Forget the last clip."""

    def landmarks(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a row (1662,) of landmarks of an RGB picture (height, width, 3), NaN where missing."""


class TrackedFrame(NamedTuple):
    """The landmarks (1662,) of a frame, the time at which it is shown, and its number in the video."""

    landmarks: NDArray[np.float32]
    time_s: float
    number: int


class SeenClip(NamedTuple):
    """Features (T, 540) and mask (T, 4) of a clip, its motion in shoulder widths a second, if it is known.

    `refused` is the reason for which training would have rejected the clip, or "".
    """

    clip: Clip
    motion: float | None
    refused: str


class TimedClip(NamedTuple):
    """Features (T, 540) and mask (T, 4) of a clip, with the time (T,) of each row and the clip's length.

    Times are seconds from the clip's start. What the rows show is `delay_s` old, because they are smoothed.
    """

    clip: Clip
    times: NDArray[np.float64]
    length_s: float
    delay_s: float

    def seconds(self, places: Sequence[Place]) -> NDArray[np.float64]:
        """Return start and end (L, 2) of places that are given in rows."""
        return to_seconds(places, self.times, self.length_s, self.delay_s)


@dataclass(frozen=True)
class VideoAnswer:
    """The answer to a video and the landmarks that it is based on."""

    answer: Answer
    raw: RawClip


def bundle_tracker(engine: SignEngine) -> HolisticTracker:
    """Return the tracker that made the bundle's features; use it in a `with` block, which closes it."""
    return HolisticTracker(bundle_landmarks(engine))


def bundle_landmarks(engine: SignEngine) -> LandmarksParams:
    """Return the parameters of the tracker that made the bundle's features.

    Raises SignloomError if the bundle was made from feature rows, to which no video leads.
    """
    dim = engine.config["features"]["dim"]
    if dim != FEATURE_DIM:
        raise SignloomError(
            f"the bundle reads given rows of {dim} columns and no videos; answer files of rows, as they "
            "went in, with `signloom predict CLIP.npy`"
        )
    # bundles of older versions name no engine: there was one
    with engine.bundle.fits(CONFIG):
        return LandmarksParams.model_validate({"engine": "mediapipe"} | engine.config["landmarks"])


def bundle_frame_rate(engine: SignEngine) -> float | None:
    """Return how many frames a second training took folders of pictures to have; None: `FOLDER_FPS`."""
    with engine.bundle.fits(CONFIG):
        rate = engine.config.get("dataset", {}).get("frame_rate")
        return None if rate is None else float(rate)


def bundle_params(engine: SignEngine) -> tuple[PoseParams, GateParams]:
    """Return the parameters that made the bundle's features and judged its clips."""
    with engine.bundle.fits(CONFIG):
        pose, gates = PoseParams.model_validate(engine.config["pose"]), engine.config["quality"]
        if "min_frames" in gates:  # a bundle from before lengths were given in seconds
            gates = gates | {"min_seconds": gates["min_frames"] / pose.fps}
        return pose, GateParams.model_validate(gates)


def answer_video(
    engine: SignEngine,
    path: Path,
    start_s: float | None = None,
    end_s: float | None = None,
    *,
    tracker: Tracker | None = None,
    rerank: bool = False,
    decode: bool = True,
    watch: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
    check_mirror: bool = False,
    faces: FaceCounter | None = None,
) -> VideoAnswer:
    """Answer a video, folder of pictures or landmark file from `start_s` to `end_s` (None: from, to its end).

    `tracker` can be reused for several clips; None builds a new one. The frames pass through `watch`, which
    may show progress. With `check_mirror`, a video that is refused for its content is tracked once more as
    its mirror image. With `faces`, the answer says whom it read where several people are in the picture.
    Raises VideoUnreadable if a frame cannot be read.
    """
    max_fps, folder_fps = bundle_landmarks(engine).max_fps, bundle_frame_rate(engine)
    with nullcontext(tracker) if tracker else bundle_tracker(engine) as used:
        look = Look(faces, path, start_s, end_s)
        seen = partial(track_video, used, path, start_s, end_s, max_fps=max_fps, folder_fps=folder_fps)
        raw = seen(watch=lambda frames: look.through(watch(frames)))
        answer = answer_landmarks(engine, raw, rerank=rerank, decode=decode)
        answer = replace(answer, company=look.company(raw))
        if check_mirror and answer.matches and not answer.accepted:
            twin = seen(watch=mirror_images)
            accepted = answer_landmarks(engine, twin, rerank=rerank, decode=False).accepted
            answer = replace(answer, mirrored=accepted)
    return VideoAnswer(answer, raw)


def mirror_images(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield `frames` with left and right exchanged."""
    for frame in frames:
        yield frame._replace(image=np.ascontiguousarray(frame.image[:, ::-1]))


def answer_landmarks(
    engine: SignEngine, raw: RawClip, *, rerank: bool = False, decode: bool = True
) -> Answer:
    """Answer the landmarks of one clip; one that training would have rejected is refused for that reason."""
    (features, mask), motion, refused = seen_clip(engine, raw)
    if refused:
        return Answer(False, refused, (), motion, len(features), None, None, unit=engine.unit)
    answer = engine.answer(features, mask, motion, rerank=rerank, decode=decode)
    return replace(answer, gloss_spans=_spans_in_time(engine, raw, answer.gloss_spans))


def _spans_in_time(engine: SignEngine, raw: RawClip, spans: Spans | None) -> Spans | None:
    """Return `spans`, shares of the clip's rows, as shares of the time from its first to its last frame.

    Frames in which nobody is seen give no rows.
    """
    begins, length = raw.times[0], raw.times[-1] - raw.times[0]
    if not spans or not length > 0:
        return spans
    seen = timed_clip(engine, replace(raw, times=raw.times - begins))  # times may begin anywhere
    count = len(seen.times)
    late = engine.delay_rows
    rows = [Place(count * start + late, count * end + late, 0.0) for start, end in spans]
    shares = np.clip(seen.seconds(rows) / length, 0.0, 1.0)
    return tuple((float(start), float(end)) for start, end in shares)


def seen_clip(engine: SignEngine, raw: RawClip) -> SeenClip:
    """Return what the bundle's features show of a clip, judged by the gates of its training.

    If no frame has a pose or no frame is kept, there are no rows and the motion is None.
    """
    pose, quality = bundle_params(engine)
    found = landmarks_to_features(raw, pose, quality)
    # without a pose there is no torso to scale by, so rows with hands alone are useless
    rows = 0 if found.verdict.reason == "no_person" else len(found.features)
    # motion is NaN if no two consecutive frames show a pose; it then counts as 0
    motion = float(np.nan_to_num(found.diagnostics["motion_mean"])) if rows else None
    refused = found.verdict.reason if found.verdict.rejects(quality) else ""
    return SeenClip((found.features[:rows], found.mask[:rows]), motion, refused)


def timed_clip(engine: SignEngine, raw: RawClip) -> TimedClip:
    """Return the rows of a clip with their times; none if no frame shows a pose."""
    pose, quality = bundle_params(engine)
    seen = landmarks_to_features(raw, pose, quality)
    # without a pose there is no torso to scale by, so rows with hands alone are useless
    rows = 0 if seen.verdict.reason == "no_person" else len(seen.features)
    frame_s = float(np.median(np.diff(raw.times))) if len(raw.times) > 1 else 1 / pose.fps
    length_s = float(raw.times[-1]) + frame_s if len(raw.times) else 0.0
    clip = (seen.features[:rows], seen.mask[:rows])
    return TimedClip(clip, np.asarray(seen.time_s[:rows]), length_s, engine.delay_rows / pose.fps)


def track_video(
    tracker: Tracker,
    path: Path,
    start_s: float | None = None,
    end_s: float | None = None,
    watch: Callable[[Iterable[Frame]], Iterable[Frame]] = iter,
    max_fps: float | None = None,
    folder_fps: float | None = None,
) -> RawClip:
    """Track a video with a restarted tracker and return its landmarks; arguments as for `answer_video`.

    At most `max_fps` frames a second are tracked (None: every frame). A landmark file needs no tracker. A
    folder of pictures has `folder_fps` frames a second; see `open_video`.
    """
    if holds_landmarks(path):
        if path.suffix.lower() != ".pose":
            raise SignloomError(
                "it is no video, but a table or rows of landmarks; give videos or .pose files"
            )
        return read_landmarks(path, start_s, end_s, max_fps)[0]
    tracker.restart()
    seen: list[TrackedFrame] = []
    shape: tuple[int, ...] = (0, 0)
    with open_video(path, folder_fps) as video:
        for frame in thinned(watch(video.frames(start_s, end_s)), max_fps):
            seen.append(TrackedFrame(tracker.landmarks(frame.image), frame.time_s, frame.number))
            shape = frame.image.shape
    return raw_clip(seen, shape)


def raw_clip(frames: Sequence[TrackedFrame], shape: tuple[int, ...]) -> RawClip:
    """Return tracked frames of pictures of `shape` (height, width, ...) as one clip."""
    return RawClip(
        np.array([frame.landmarks for frame in frames], np.float32).reshape(-1, RAW_DIM),
        np.array([frame.time_s for frame in frames], np.float64),
        np.array([frame.number for frame in frames], np.int64),
        width=shape[1],
        height=shape[0],
    )
