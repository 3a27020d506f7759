"""At most so many frames of a clip a second: which, whatever the camera, and never a drift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.features.pose.resample import time_grid
from signloom.video.decode import Frame
from signloom.video.thinning import Thinner, thinned
from signloom.video.windows import resampled


def taken(times: list[float], max_fps: float | None) -> list[int]:
    frames = (Frame(number, time, np.zeros((1, 1, 3), np.uint8)) for number, time in enumerate(times))
    return [frame.number for frame in thinned(frames, max_fps)]


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_without_a_limit_every_frame_is_taken(count: int) -> None:
    assert taken([number / 25 for number in range(count)], None) == list(range(count))


@pytest.mark.parametrize(("fps", "limit", "step"), [(25, 12.5, 2), (30, 15, 2), (60, 30, 2), (60, 20, 3)])
@pytest.mark.parametrize("start_s", [0.0, 7.31])
def test_a_limit_that_divides_the_frame_rate_takes_every_nth_frame(
    fps: float, limit: float, step: int, start_s: float
) -> None:
    # 1000 frames are enough for a drift to show
    times = [round(start_s + number / fps, 9) for number in range(1000)]
    assert taken(times, limit) == list(range(0, 1000, step))


@pytest.mark.parametrize("fps", [12, 15, 24000 / 1001, 24, 25, 30, 60])
@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("start_s", [0.0, 7.3105])
def test_a_film_in_milliseconds_has_the_frames_and_rows_of_the_exact_one(
    fps: float, step: int, start_s: float
) -> None:
    limit, exact = fps / step, [start_s + number / fps for number in range(1000)]
    rounded = [round(time_s, 3) for time_s in exact]
    assert taken(rounded, limit) == taken(exact, limit) == list(range(0, 1000, step))
    for count in range(1, 1000):
        assert len(time_grid(np.array(rounded[:count]), limit)) == 1 + (count - 1) // step
    frames = [Frame(number, time_s, np.zeros((1, 1, 3), np.uint8)) for number, time_s in enumerate(rounded)]
    assert len(list(resampled(frames, limit))) == 1 + 999 // step


@pytest.mark.parametrize("fps", [10, 12.5, 25])
def test_a_limit_at_or_above_the_frame_rate_takes_every_frame(fps: float) -> None:
    assert taken([number / fps for number in range(500)], 25) == list(range(500))


@given(
    st.lists(st.floats(0, 20), min_size=1, max_size=200).map(sorted),
    st.floats(0.5, 60),
)
def test_a_frame_is_taken_exactly_where_an_even_time_has_come_since_the_last_one(
    times: list[float], limit: float
) -> None:
    chosen = taken(times, limit)
    # the plain rule: cells of 1 / limit s from the first frame on, and of every cell its first frame
    cells = [int(np.floor((time - times[0] + 1.1e-3) * limit)) for time in times]
    assert chosen == [number for number, cell in enumerate(cells) if cell not in cells[:number]]


def test_a_thinner_is_asked_frame_by_frame_as_a_stream_needs_it() -> None:
    thinner = Thinner(12.5)
    assert [thinner.takes(number / 25) for number in range(6)] == [True, False] * 3
