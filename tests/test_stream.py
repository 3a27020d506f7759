"""A stream answers as offline work does on the same window: in motion, after a pause, at the end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Exported

from signloom.errors import SignloomError
from signloom.features.pose.tracker import HolisticTracker
from signloom.inference.engine import SignEngine
from signloom.inference.passages import recent_motion
from signloom.inference.stream import SignStream, StreamEvent, stream_latency
from signloom.inference.video import answer_landmarks, answer_video, bundle_params, bundle_tracker
from signloom.video.decode import Frame, read_frames
from tests.stream_films import SEQ_LEN, Film, ListeningEngine, cut, finals


def check_windows(film: Film, events: list[StreamEvent]) -> None:
    assert events
    for event in events:
        assert event.answer == film.offline(*event.span_s, decode=event.kind != "partial")


def test_a_stream_that_fits_into_the_window_ends_with_the_answer_to_all_of_it() -> None:
    film = Film(1.9, [(0.3, 1.9)])
    pushed, ended = film.stream()
    assert [event.kind for event in pushed] == ["partial"] * len(pushed)
    assert [event.kind for event in ended] == ["end"]
    assert ended[0].answer == film.offline()
    check_windows(film, pushed + ended)


@pytest.mark.parametrize("moving", [[(0.1, 0.5), (1.4, 1.9)], [(0.1, 1.0)], [(0.5, 0.9)]])
def test_a_pause_inside_or_at_the_end_does_not_change_the_last_answer(
    moving: list[tuple[float, float]],
) -> None:
    film = Film(1.9, moving)
    pushed, ended = film.stream()
    assert [event.kind for event in finals(pushed)] == ["pause"]
    assert ended[0].answer == film.offline()
    check_windows(film, pushed + ended)


def test_every_passage_between_pauses_has_one_final_answer_to_a_window_of_its_own() -> None:
    film = Film(9, [(1.0, 2.2), (3.5, 4.5), (6.0, 7.2)])
    pushed, ended = film.stream()
    last = finals(pushed)
    assert [event.kind for event in last] == ["pause"] * 3
    assert ended == []  # long, and at rest when it ended
    for event, (start, end) in zip(last, [(1.0, 2.2), (3.5, 4.5), (6.0, 7.2)], strict=True):
        begun, closed = event.span_s
        assert start - 0.3 <= begun <= start
        assert end - 0.05 <= closed <= end + 0.2  # without the pause
    check_windows(film, pushed)


def test_a_window_shorter_than_a_pause_still_ends_with_the_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ListeningEngine.config, "seq_len", 6)
    film = Film(3, [(0.5, 1.5)])
    pushed, ended = film.stream()
    (last,) = finals(pushed)
    assert last.answer.frames == 6 and 1.4 < last.span_s[1] < 1.8
    assert ended == []
    check_windows(film, pushed)


def test_the_window_rolls_over_a_passage_that_does_not_fit() -> None:
    film = Film(5, [(0.0, 5.0)])
    pushed, ended = film.stream()
    assert max(len(event.raw.rows) for event in pushed) == SEQ_LEN
    assert all(event.answer.frames <= SEQ_LEN for event in pushed)
    assert ended[0].span_s == (film.times[-SEQ_LEN], film.times[-1])
    check_windows(film, pushed + ended)


def test_a_stream_that_is_a_little_too_long_ends_with_its_passage_alone() -> None:
    film = Film(2.1, [(0.4, 1.7)])  # still open, and all of it more rows than fit
    pushed, ended = film.stream()
    assert finals(pushed) == [] and [event.kind for event in ended] == ["end"]
    begun, closed = ended[0].span_s
    assert 0.1 < begun <= 0.4 and 1.6 < closed < 1.95
    check_windows(film, ended)


def test_the_window_is_as_long_in_features_whatever_the_camera() -> None:
    for fps in (12.5, 60.0):
        film = Film(5, [(0.0, 5.0)], fps)
        pushed, ended = film.stream()
        assert ended[0].answer.frames in (SEQ_LEN - 1, SEQ_LEN)
        check_windows(film, pushed + ended)


def test_partial_answers_come_at_most_every_so_often_and_only_in_motion() -> None:
    film = Film(6, [(1.0, 3.0), (5.0, 6.0)])
    pushed, _ = film.stream(every_s=0.4)
    times = np.array([event.span_s[1] for event in pushed if event.kind == "partial"])
    assert len(times) >= 5
    assert np.diff(times).min() >= 0.4
    assert all(1.0 < time_s < 3.4 or time_s > 5.0 for time_s in times)
    often, _ = film.stream(every_s=0.0)
    assert len(often) > 3 * len(pushed)


def test_a_passage_goes_on_above_half_the_floor_that_opened_it(monkeypatch: pytest.MonkeyPatch) -> None:
    film = Film(1.9, [(0.0, 1.9)])
    floor = 1.45
    monkeypatch.setitem(ListeningEngine.config["quality"], "motion_floor", floor)
    params = bundle_params(ListeningEngine())
    motion = np.array([recent_motion(film.cut(t - 0.2, t), *params) for t in film.times])
    fast = film.times[motion >= floor]
    assert np.diff(fast).max() > 0.6 and motion[5:].min() > floor / 2
    pushed, _ = film.stream()
    assert pushed and finals(pushed) == []


def test_nobody_in_the_picture_is_no_passage_and_ends_with_no_person() -> None:
    film = Film(1.5, [])
    film.raw.rows[:] = np.nan
    pushed, ended = film.stream()
    assert pushed == []
    assert [event.answer.reason for event in ended] == ["no_person"]


def test_a_stream_without_a_frame_has_no_answer_and_one_with_a_frame_has_one() -> None:
    film = Film(0.04, [])
    assert SignStream(ListeningEngine(), film).finish() == []
    pushed, ended = film.stream()
    assert (pushed, len(ended)) == ([], 1)
    assert ended[0].answer == film.offline()


def test_every_frame_is_tracked_once_by_a_tracker_that_starts_fresh() -> None:
    film = Film(4, [(0.0, 4.0)])
    film.stream()
    assert (film.restarts, film.tracked) == (1, len(film.times))


def test_a_picture_of_another_size_and_a_time_that_goes_back_are_refused() -> None:
    film = Film(1, [])
    stream = SignStream(ListeningEngine(), film)
    stream.push(film.picture(0), 0.0)
    with pytest.raises(SignloomError, match="frame 1 of the stream is 480x640 pixels, the first 640x480"):
        stream.push(np.zeros((640, 480, 3), np.uint8), 0.04)
    with pytest.raises(ValueError, match="before the last one"):
        stream.push(film.picture(1), -0.04)
    for time_s in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=f"frame 1 is shown at {time_s} s; give its time in seconds"):
            stream.push(film.picture(1), time_s)
    assert film.tracked == 1


def test_a_picture_of_another_kind_is_refused_before_it_is_tracked() -> None:
    film = Film(1, [])
    stream = SignStream(ListeningEngine(), film)
    for image in (np.zeros((480, 640, 4), np.uint8), np.zeros((480, 640), np.uint8), np.zeros((9, 9, 3))):
        with pytest.raises(
            SignloomError, match=r"frame 0 of the stream is \w+ of shape .*; convert it to RGB"
        ):
            stream.push(image, 0.0)
    assert film.tracked == 0
    stream.push(film.picture(0), 0.0)


class Clock:
    """Time that passes only in the work that is given seconds of its own."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def slow(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *seconds: float) -> None:
        """Let each call of `owner.name` take one of `seconds`, over and over."""
        work, takes = getattr(owner, name), itertools.cycle(seconds)

        def slowly(*args: Any, **named: Any) -> Any:
            self.now_s += next(takes)
            return work(*args, **named)

        monkeypatch.setattr(owner, name, slowly)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("signloom.inference.stream.perf_counter", clock)
    return clock


def test_latency_counts_from_handing_over_the_last_frame(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    film = Film(1.9, [(0.1, 0.9)])
    clock.slow(monkeypatch, film, "landmarks", 0.01)
    clock.slow(monkeypatch, ListeningEngine, "answer", 0.02)
    stream = SignStream(ListeningEngine(), film)
    for number, time_s in enumerate(film.times):
        for event in stream.push(film.picture(number), float(time_s)):
            assert event.latency_s == pytest.approx(0.03)
    assert stream.tracking_s == pytest.approx(0.01)
    clock.now_s += 0.3  # what the caller does is not the answer's time
    assert stream.finish()[0].latency_s == pytest.approx(0.03)


def test_latencies_of_videos_are_percentiles_of_what_the_stream_took(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    film = Film(1.9, [(0.3, 1.9)])
    frames = [Frame(n, float(time_s), film.picture(n)) for n, time_s in enumerate(film.times)]
    rates: list[float | None] = []

    def read(video: Path, folder_fps: float | None) -> Iterator[Frame]:
        rates.append(folder_fps)
        return iter(frames)

    monkeypatch.setattr("signloom.inference.stream.read_frames", read)
    monkeypatch.setattr("signloom.inference.video.bundle_tracker", lambda engine: nullcontext(film))
    partials = [event for event in film.stream()[0] if event.kind == "partial"]
    clock.slow(monkeypatch, film, "landmarks", *np.arange(1, len(frames) + 1) / 1000)
    clock.slow(monkeypatch, ListeningEngine, "answer", 0.5)  # the first of them loads the networks
    engine = ListeningEngine()
    engine.config = engine.config | {"dataset": {"frame_rate": 50.0}}
    found = stream_latency(engine, [Path("a.mp4"), Path("b.mp4")])
    assert rates == [50.0, 50.0]  # a folder of pictures has the rate of the training
    assert (found["videos"], found["frames"], found["finals"]) == (2, 2 * len(frames), 2)
    tracked = [*range(1, len(frames) + 1)] * 2
    assert found["tracking_ms_p50"] == pytest.approx(np.percentile(tracked, 50))
    assert found["tracking_ms_p95"] == pytest.approx(np.percentile(tracked, 95))
    # from handing over the last frame, which takes its milliseconds, to the end of the answer
    assert found["final_ms_p50"] == found["final_ms_p95"] == pytest.approx(500 + len(frames))
    asked = [500 + 1 + event.raw.frame_index[-1] for event in partials] * 2
    assert found["partials"] == len(asked)
    assert found["partial_ms_p50"] == pytest.approx(np.percentile(asked, 50))


def test_without_a_video_there_is_no_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signloom.inference.video.bundle_tracker", lambda engine: nullcontext())
    nothing = stream_latency(ListeningEngine(), [])
    assert (nothing["videos"], nothing["final_ms_p50"], nothing["tracking_ms_p95"]) == (0, None, None)


@pytest.fixture(scope="module")
def clip(root: Path) -> Path:
    return root / "data" / "demo" / "videos" / "s6" / "001_1.mp4"


@pytest.fixture(scope="module")
def engine(exported: Exported) -> SignEngine:
    engine = SignEngine.load(exported.bundle)
    engine.config["seq_len"] = 128  # its network looks at 12 rows; the window shall hold a real clip
    return engine


@pytest.fixture(scope="module")
def tracker(engine: SignEngine) -> Iterator[HolisticTracker]:
    with bundle_tracker(engine) as shared:
        yield shared


@pytest.mark.parametrize("max_fps", [None, 12.5])
def test_a_real_clip_streamed_gives_the_offline_answer_in_every_field(
    max_fps: float | None,
    engine: SignEngine,
    tracker: HolisticTracker,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(engine.config["landmarks"], "max_fps", max_fps)
    stream = SignStream(engine, tracker)
    events = [event for frame in read_frames(clip) for event in stream.push(frame.image, frame.time_s)]
    ended = stream.finish()
    assert [event.kind for event in ended] == ["end"]
    offline = answer_video(engine, clip, tracker=tracker)
    assert ended[0].answer == offline.answer
    assert ended[0].answer.matches and ended[0].answer.text is not None
    assert len(events) >= 3
    for event in events:
        window = cut(offline.raw, *event.span_s)
        assert event.answer == answer_landmarks(engine, window, decode=event.kind != "partial")
