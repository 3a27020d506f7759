"""Windows: the nearest frames at even times, the middle of the resized picture, the last frame repeated."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signloom.features.pose.resample import nearest_frames, time_grid
from signloom.video.decode import Frame
from signloom.video.windows import Cropper, completed, resampled, window_count, windows

LENGTHS = st.one_of(st.sampled_from([0, 1, 3]), st.integers(0, 60))
EMPTY = np.zeros((0, 0, 3), np.uint8)


@given(st.integers(1, 20), st.integers(1, 25), LENGTHS)
def test_windows_are_those_of_the_formula_with_the_last_frame_repeated(
    stack: int, step: int, frames: int
) -> None:
    rows = 1 + int(np.ceil(max(frames - stack, 0) / step)) if frames else 0
    expected = [[min(row * step + k, frames - 1) for k in range(stack)] for row in range(rows)]
    assert list(windows(iter(range(frames)), stack, step)) == expected
    assert not frames or window_count(frames, stack, step) == rows


@given(st.integers(1, 20), st.integers(1, 25), LENGTHS)
def test_a_completed_clip_ends_with_its_last_window(stack: int, step: int, frames: int) -> None:
    whole = list(completed(range(frames), stack, step))
    assert whole == [min(number, frames - 1) for number in range(len(whole))]
    assert len(whole) == ((window_count(frames, stack, step) - 1) * step + stack if frames else 0)


def test_a_window_comes_before_the_frame_behind_it_is_read() -> None:
    read = []

    def source() -> Iterator[int]:
        for number in range(9):
            read.append(number)
            yield number

    seen = [(window[-1], read[-1]) for window in windows(source(), 4, 2)]
    assert seen == [(3, 3), (5, 5), (7, 7), (8, 8)]


@given(
    st.lists(st.floats(0, 0.2), min_size=0, max_size=30),
    st.sampled_from([10.0, 25.0, 29.97, 60.0]),
    st.floats(0, 0.1),
)
def test_streamed_frames_are_the_nearest_of_the_grid_of_pose_features(
    gaps: list[float], fps: float, start: float
) -> None:
    times = start + np.concatenate([[0.0], np.cumsum(gaps)])
    frames = [Frame(number, float(time_s), EMPTY) for number, time_s in enumerate(times)]
    streamed = [frame.number for frame in resampled(frames, fps)]
    assert streamed == nearest_frames(times, time_grid(times, fps)).tolist()


@pytest.mark.parametrize(("source", "count"), [(25, 50), (30, 50), (12.5, 49), (50, 50)])
def test_two_seconds_have_fifty_frames_whatever_the_camera(source: float, count: int) -> None:
    frames = [Frame(number, number / source, EMPTY) for number in range(int(2 * source))]
    numbers = [frame.number for frame in resampled(frames, 25)]
    assert len(numbers) == count
    assert np.abs(np.array(numbers) / source - np.arange(count) / 25).max() <= 0.5 / source + 1e-9


def test_no_frame_gives_no_frame_and_one_gives_one() -> None:
    assert not list(resampled([], 25))
    assert [frame.number for frame in resampled([Frame(7, 0.3, EMPTY)], 25)] == [7]


SIZES = [
    (480, 480, 256, 224),
    (480, 560, 128, 112),
    (520, 480, 256, 224),
    (270, 480, 128, 112),
    (101, 64, 64, 48),
    (240, 320, 240, 224),
    (33, 97, 31, 30),
    (20, 30, 40, 32),
]


@pytest.mark.parametrize(("height", "width", "resize", "crop"), SIZES)
def test_cropping_first_gives_the_pixels_of_the_middle_of_the_resized_picture(
    height: int, width: int, resize: int, crop: int
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    short = min(height, width)
    size = (round(width * resize / short), round(height * resize / short))
    method = cv2.INTER_AREA if resize <= short else cv2.INTER_LINEAR
    whole = cv2.resize(image, size, interpolation=method)
    top, left = (size[1] - crop) // 2, (size[0] - crop) // 2
    cropped = Cropper(height, width, resize, crop)(image)
    assert min(whole.shape[:2]) == resize
    np.testing.assert_array_equal(cropped, whole[top : top + crop, left : left + crop])


def test_halving_a_picture_averages_its_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    means = image[:, 16:80].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(Cropper(64, 96, 32, 32)(image) - means).max() <= 0.5
