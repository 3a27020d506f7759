"""Answer a live stream: frames in, partial and final answers out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.features.pose.layout import FEATURE_DIM, PARTS
from signloom.features.pose.raw_clip import RawClip
from signloom.features.pose.tracker import check_picture
from signloom.inference import video
from signloom.inference.answer import Answer
from signloom.inference.engine import SignEngine
from signloom.inference.passages import PAUSE_S, PRE_ROLL_S, Passage, Passages
from signloom.video.decode import read_frames
from signloom.video.thinning import Thinner

EVERY_S = 0.4

Kind = Literal["partial", "pause", "long", "end"]
Latency = dict[str, float | int | None]


@dataclass(frozen=True)
class StreamEvent:
    """The answer to the window `raw`, with times in seconds from the start of the stream.

    `partial`: the person is still moving, and nothing is decoded yet. `pause`: final, after a pause. `long`:
    final, and the passage goes on. `end`: final, at the end of the stream. `latency_s` is the time since the
    last frame was pushed, its tracking included.
    """

    kind: Kind
    answer: Answer
    raw: RawClip
    latency_s: float

    @property
    def span_s(self) -> tuple[float, float]:
        """The times of the first and the last frame of the window."""
        return float(self.raw.times[0]), float(self.raw.times[-1])


class SignStream:
    """A stream of frames from a camera or a file; `push` every frame, then call `finish`.

    Every frame is tracked once, or as many as the bundle's `landmarks.max_fps` says, by a tracker that is
    restarted with the stream. `passages.Passages` cuts it into passages. Only the last frames of a passage
    are kept, at most `seq_len` rows of features, so that memory does not grow.

    Every answer equals `answer_landmarks(engine, event.raw)`, the offline answer to the same rows and times.
    To reproduce it from the video, track the video from its start and cut the window afterwards: a tracker
    that starts at the window finds slightly different landmarks in its first frames. A pause in the middle
    gives two passages and two final answers. If the whole stream fits into `seq_len` rows, `finish` answers
    it as one clip, pauses included, so its last answer is that of `answer_video` on the file. After a longer
    stream, `finish` answers the passage that is still open, if any.

    With `cut`, every part of the stream in which somebody moves has exactly one final answer: a passage that
    is too long is cut, and a stream that was cut is not answered as a whole.
    """

    def __init__(
        self,
        engine: SignEngine,
        tracker: video.Tracker,
        *,
        every_s: float = EVERY_S,
        pause_s: float = PAUSE_S,
        pre_roll_s: float = PRE_ROLL_S,
        rerank: bool = False,
        cut: bool = False,
    ) -> None:
        """Restart `tracker`, which only this stream may use from now on; times are in seconds."""
        self._engine, self._tracker, self._rerank = engine, tracker, rerank
        self._every_s, self._cut = every_s, cut
        self._seq_len: int = engine.config["seq_len"]
        pose, quality = video.bundle_params(engine)
        self._passages = Passages(
            pose, quality, self._seq_len, pause_s=pause_s, pre_roll_s=pre_roll_s, split=cut
        )
        self._shape: tuple[int, ...] = ()
        self._last_s = self._answered_s = -np.inf
        self._ended = 0  # passages so far
        self._thinner = Thinner(video.bundle_landmarks(engine).max_fps)
        self._frames = self._tracked = 0
        self._push_s = 0.0  # time that the last `push` took
        self.tracking_s: float | None = None  # time to track the last frame; None if it was left out
        tracker.restart()

    def push(self, image: NDArray[np.uint8], time_s: float) -> list[StreamEvent]:
        """Take an RGB picture (height, width, 3) shown at `time_s`; return the answer due now, if any.

        Raises SignloomError if the picture is of another kind or its size differs from the first one's,
        ValueError if `time_s` is no finite number or earlier than the last one.
        """
        handed_over = perf_counter()
        self._check(image, time_s)
        number, self._frames = self._frames, self._frames + 1
        if not self._thinner.takes(time_s):
            self.tracking_s = None
            return []
        was_open = self._passages.begun_s is not None
        row = video.TrackedFrame(self._tracker.landmarks(image), time_s, number)
        self._tracked, self._last_s = self._tracked + 1, time_s
        self.tracking_s = perf_counter() - handed_over
        ended = self._passages.push(row, self._shape)
        if not was_open:
            self._answered_s = time_s
        events = self._due(time_s, ended, handed_over)
        self._push_s = perf_counter() - handed_over
        return events

    def finish(self) -> list[StreamEvent]:
        """End the stream; return the answer to all of it or to the passage that is still open, if any."""
        # the latency leaves out the time that the caller spent since the last frame
        handed_over = perf_counter() - self._push_s
        passages = self._passages
        if self._tracked and self._whole():
            return [self._answer("end", passages.window(), handed_over)]
        if passages.begun_s is None:
            return []
        return [self._answer("end", passages.window(passages.begun_s, passages.moved_s), handed_over)]

    def _whole(self) -> bool:
        """Return whether all frames of the stream are kept and are answered as one clip."""
        if self._cut and self._ended:
            return False
        return self._tracked == len(self._passages.rows) and self._passages.fits(self._last_s)

    def _check(self, image: NDArray[np.uint8], time_s: float) -> None:
        check_picture(image, f"frame {self._frames} of the stream")
        self._shape = self._shape or image.shape
        if image.shape != self._shape:
            raise SignloomError(
                f"frame {self._frames} of the stream is {image.shape[1]}x{image.shape[0]} pixels, the first "
                f"{self._shape[1]}x{self._shape[0]}; start another stream"
            )
        if not math.isfinite(time_s):
            raise ValueError(f"frame {self._frames} is shown at {time_s} s; give its time in seconds")
        if time_s < self._last_s:
            raise ValueError(f"frame {self._frames} is shown at {time_s} s, before the last one")

    def _due(self, time_s: float, ended: Passage | None, handed_over: float) -> list[StreamEvent]:
        """Return the answer to the passage that ended, or to the open one if it is due."""
        passages = self._passages
        if ended:
            self._ended += 1
            return [self._answer(ended.ended, passages.window(ended.start_s, ended.end_s), handed_over)]
        if passages.begun_s is None:
            return []
        if time_s == passages.moved_s and time_s - self._answered_s >= self._every_s:
            self._answered_s = time_s
            window = passages.window(passages.begun_s, passages.moved_s)
            return [self._answer("partial", window, handed_over)]
        return []

    def _answer(self, kind: Kind, raw: RawClip, handed_over: float) -> StreamEvent:
        answer = video.answer_landmarks(self._engine, raw, rerank=self._rerank, decode=kind != "partial")
        return StreamEvent(kind, answer, raw, perf_counter() - handed_over)


def stream_latency(engine: SignEngine, videos: Iterable[Path], *, rerank: bool = False) -> Latency:
    """Stream `videos` one after another; return how long their answers and frames take.

    Keys: `videos, frames, finals, partials`, and in ms the 50th and 95th percentile of `final`, `partial`
    (from pushing a window's last frame to its answer) and `tracking` (of one frame), None if there was none.
    Raises VideoUnreadable.
    """
    ms: dict[str, list[float]] = {"final": [], "partial": [], "tracking": []}
    count = 0
    # the first answer loads the networks, which would distort the latency
    rows = engine.config["seq_len"]
    still = np.zeros((rows, FEATURE_DIM), np.float32), np.ones((rows, len(PARTS)), np.uint8)
    engine.answer(*still, rerank=rerank)
    with video.bundle_tracker(engine) as tracker:
        for path in videos:
            count += 1
            stream = SignStream(engine, tracker, rerank=rerank)
            events: list[StreamEvent] = []
            for frame in read_frames(path, folder_fps=video.bundle_frame_rate(engine)):
                events += stream.push(frame.image, frame.time_s)
                if stream.tracking_s is not None:
                    ms["tracking"].append(1000 * stream.tracking_s)
            for event in events + stream.finish():
                ms["partial" if event.kind == "partial" else "final"].append(1000 * event.latency_s)
    numbers: Latency = {"videos": count, "frames": len(ms["tracking"])}
    numbers |= {"finals": len(ms["final"]), "partials": len(ms["partial"])}
    for name, values in ms.items():
        for share in (50, 95):
            numbers[f"{name}_ms_p{share}"] = float(np.percentile(values, share)) if values else None
    return numbers
