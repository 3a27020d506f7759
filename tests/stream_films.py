"""Made-up recordings for tests of streams, and an engine that says what it was given."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from demo_params import section

from signloom.features.pose.raw_clip import RawClip
from signloom.inference.answer import Answer
from signloom.inference.stream import SignStream, StreamEvent
from signloom.inference.video import answer_landmarks
from signloom.params.features import LandmarksParams, PoseParams, QualityParams
from tests.bodies import as_tracked, moving_body

FPS = 25.0


SEQ_LEN = 50


SPEED = 3.0


SECTIONS = {
    "pose": dict(section(PoseParams, fps=FPS, max_gap=5, smoothing=0.2)),
    "quality": dict(section(QualityParams, min_seconds=0.0)),
    "landmarks": dict(section(LandmarksParams, max_fps=None)),
}


class ListeningEngine:
    """In the engine's place: its answer names every value that it was given."""

    config: ClassVar[dict[str, Any]] = {**SECTIONS, "seq_len": SEQ_LEN, "features": {"dim": 540}}
    unit = "sentence"
    bundle = SimpleNamespace(fits=lambda name: nullcontext())

    def answer(
        self,
        features: np.ndarray,
        mask: np.ndarray,
        motion_mean: float | None = None,
        *,
        rerank: bool,
        decode: bool = True,
    ) -> Answer:
        told = hashlib.sha256(features.tobytes() + mask.tobytes()).hexdigest()
        reason = "ok" if len(features) else "no_person"
        return Answer(reason == "ok", reason, (), motion_mean, len(features), told if decode else None, told)


class Film:
    """A made-up recording: the body moves in the seconds `moving`, stands still in the others."""

    def __init__(self, seconds: float, moving: list[tuple[float, float]], fps: float = FPS) -> None:
        self.times = np.arange(round(seconds * fps)) / fps
        moved = [np.clip(self.times - start, 0, end - start) for start, end in moving]
        self.raw = as_tracked(moving_body(SPEED * np.sum([0 * self.times, *moved], axis=0)), self.times)
        self.restarts = self.tracked = 0

    def restart(self) -> None:
        self.restarts += 1

    def landmarks(self, image: np.ndarray) -> np.ndarray:
        """The row of the frame whose number the picture shows."""
        self.tracked += 1
        return self.raw.rows[int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])]

    def picture(self, number: int) -> np.ndarray:
        image = np.zeros((480, 640, 3), np.uint8)
        image[0, 0, :2] = number % 256, number // 256
        return image

    def stream(self, **times: float) -> tuple[list[StreamEvent], list[StreamEvent]]:
        """All that pushing and then finishing gave."""
        stream = SignStream(ListeningEngine(), self, **times)
        pushed = [
            event
            for number, time_s in enumerate(self.times)
            for event in stream.push(self.picture(number), float(time_s))
        ]
        return pushed, stream.finish()

    def offline(self, start_s: float = -np.inf, end_s: float = np.inf, decode: bool = True) -> Answer:
        """The answer to the frames between two times, cut from the whole recording."""
        return answer_landmarks(ListeningEngine(), self.cut(start_s, end_s), decode=decode)

    def cut(self, start_s: float, end_s: float) -> RawClip:
        return cut(self.raw, start_s, end_s)


def cut(raw: RawClip, start_s: float, end_s: float) -> RawClip:
    inside = (raw.times >= start_s) & (raw.times <= end_s)
    return RawClip(raw.rows[inside], raw.times[inside], raw.frame_index[inside], raw.width, raw.height)


def finals(events: list[StreamEvent]) -> list[StreamEvent]:
    return [event for event in events if event.kind != "partial"]
