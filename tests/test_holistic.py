"""The tracker over MediaPipe's models: beside MediaPipe itself, and each step beside a plain one."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.errors import SignloomError
from signloom.features.pose.holistic import model_files
from signloom.features.pose.holistic.body import refined
from signloom.features.pose.holistic.cuts import Cutter
from signloom.features.pose.holistic.detector import anchors, best_points
from signloom.features.pose.holistic.following import Last, Limits, followed
from signloom.features.pose.holistic.model_files import edited, model_file, outputs, scale_then_shift
from signloom.features.pose.holistic.networks import Network, mean_of_places
from signloom.features.pose.holistic.rects import (
    Rect,
    Size,
    angle_between,
    around_alignment,
    sigmoid,
)
from signloom.features.pose.holistic.smoothing import FREQUENCY, OneEuro
from signloom.features.pose.layout import RAW_DIM, RAW_PARTS
from signloom.features.pose.tracker import HolisticTracker
from signloom.params.features import LandmarksParams
from signloom.video.decode import read_frames
from tests.demo_params import section

SINGLE = np.float32
SIZE = Size(SINGLE(640), SINGLE(480))


def rect(*values: float) -> Rect:
    return Rect(*(SINGLE(value) for value in values))


@pytest.fixture(scope="module", params=["demo", "person"])
def pictures(request: pytest.FixtureRequest, root: Path) -> list[np.ndarray]:
    if request.param == "demo":
        video = min((root / "data/demo/videos").glob("s*/*.mp4"))
    else:
        video = request.getfixturevalue("real_data") / "pose_format" / "test_video.mp4"
    return [frame.image for frame in itertools.islice(read_frames(video), 24)]


@pytest.fixture(scope="module")
def own() -> Iterator[HolisticTracker]:
    with HolisticTracker(section(LandmarksParams, engine="signloom")) as tracker:
        yield tracker


@pytest.fixture(scope="module")
def graph() -> Iterator[HolisticTracker]:
    with HolisticTracker(section(LandmarksParams, engine="mediapipe")) as tracker:
        yield tracker


def rows(tracker: HolisticTracker, pictures: list[np.ndarray]) -> np.ndarray:
    tracker.restart()
    return np.stack([tracker.landmarks(picture) for picture in pictures])


def with_black(pictures: list[np.ndarray]) -> list[np.ndarray]:
    return [picture * 0 if 8 <= n < 11 else picture for n, picture in enumerate(pictures)]


def turned(pictures: list[np.ndarray]) -> list[np.ndarray]:
    return [np.ascontiguousarray(np.rot90(picture)) for picture in pictures]


def narrow(pictures: list[np.ndarray]) -> list[np.ndarray]:
    width = pictures[0].shape[1]
    return [picture[:, width // 4 : -width // 4] for picture in pictures]


def apart(ours: np.ndarray, theirs: np.ndarray, picture: np.ndarray) -> dict[str, np.ndarray]:
    """Differences in pixels of every part that both found."""
    height, width = picture.shape[:2]
    found = {}
    for part, columns in RAW_PARTS.items():
        step = 4 if part == "pose" else 3
        one, other = (rows[:, columns].reshape(len(rows), -1, step)[..., :3] for rows in (ours, theirs))
        both = ~np.isnan(one[:, 0, 0] + other[:, 0, 0])
        found[part] = np.abs(one - other)[both] * (width, height, width)
    return found


def alone(tracker: HolisticTracker, pictures: list[np.ndarray]) -> np.ndarray:
    """Some pictures, each as the first of a clip."""
    return np.concatenate([rows(tracker, [picture]) for picture in pictures[::6]])


@pytest.mark.parametrize("change", [list, turned, narrow])
def test_the_landmarks_of_a_picture_are_those_of_mediapipe(
    own: HolisticTracker, graph: HolisticTracker, pictures: list[np.ndarray], change: object
) -> None:
    changed = change(pictures)  # type: ignore[operator]
    ours, theirs = alone(own, changed), alone(graph, changed)
    assert (np.isnan(ours) == np.isnan(theirs)).all() and not np.isnan(ours[:, :132]).any()
    for part, pixels in apart(ours, theirs, changed[0]).items():
        assert not len(pixels) or (np.median(pixels) < 0.25 and np.percentile(pixels, 99) < 2), part
    visibility = np.abs(ours - theirs)[:, 3:132:4]
    assert np.median(visibility) < 0.01 and np.percentile(visibility, 99) < 0.05


@pytest.mark.parametrize("change", [list, turned, narrow, with_black])
def test_the_landmarks_of_a_clip_are_those_of_mediapipe(
    own: HolisticTracker, graph: HolisticTracker, pictures: list[np.ndarray], change: object
) -> None:
    changed = change(pictures)  # type: ignore[operator]
    ours, theirs = rows(own, changed), rows(graph, changed)
    if alone(own, changed).tobytes() == alone(graph, changed).tobytes():
        assert ours.tobytes() == theirs.tobytes()
        return
    # the kernels of this processor differ in last bits, which grow from frame to frame
    assert (np.isnan(ours) == np.isnan(theirs)).mean() > 0.9
    for part, pixels in apart(ours, theirs, changed[0]).items():
        assert not len(pixels) or np.median(pixels) < 3, part


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 500, 3), (500, 3, 3), (2, 2, 3)])
def test_pictures_of_a_few_pixels_hold_nobody(own: HolisticTracker, shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = rows(own, [picture] * 3)
    assert found.shape == (3, RAW_DIM) and found.dtype == np.float32


def test_a_view_that_is_not_contiguous_gives_the_same_bytes(
    own: HolisticTracker, pictures: list[np.ndarray]
) -> None:
    views = [np.asfortranarray(picture) for picture in pictures[:3]]
    assert rows(own, views).tobytes() == rows(own, pictures[:3]).tobytes()


@pytest.mark.parametrize("engine", ["own", "graph"])
def test_a_picture_that_is_not_rgb_of_uint8_is_refused(
    engine: str, pictures: list[np.ndarray], request: pytest.FixtureRequest
) -> None:
    tracker: HolisticTracker = request.getfixturevalue(engine)
    first = pictures[0]
    rows(tracker, [first])
    for other in (
        np.dstack([first, first[..., :1]]),
        first[..., 0],
        first[..., :1],
        first.astype(np.float32),
        first.astype(np.uint16) * 257,
        first.transpose(2, 0, 1),
        first[:0],
    ):
        with pytest.raises(SignloomError, match=r"convert it to RGB, uint8 \(height, width, 3\)") as caught:
            tracker.landmarks(other)
        assert f"{other.dtype} of shape {other.shape}" in str(caught.value)


def test_a_cut_never_shows_the_picture_before() -> None:
    cutter = Cutter(32)
    assert (cutter(np.full((64, 64, 3), 200, np.uint8), None).picture == 200).all()
    for black in (
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 3), float),
    ):
        assert not cutter(black, None).picture.any()


def sampled(image: np.ndarray, x: float, y: float, black: bool) -> np.ndarray:
    """Bilinear, at 1/32 of a pixel."""
    x, y = round(x * 32) / 32, round(y * 32) / 32
    left, top = math.floor(x), math.floor(y)
    total = np.zeros(3)
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        weight = (1 - abs(x - column)) * (1 - abs(y - row))
        inside = 0 <= column < image.shape[1] and 0 <= row < image.shape[0]
        if black and not inside:
            continue
        kept_row, kept_column = np.clip((row, column), 0, (image.shape[0] - 1, image.shape[1] - 1))
        total += weight * image[kept_row, kept_column]
    return total


@pytest.mark.parametrize("black", [False, True])
@pytest.mark.parametrize(
    "place", [(0.5, 0.5, 0.5, 0.5, 0.4), (0.1, 0.9, 1.5, 0.7, -2.0), (0.5, 0.4, 0.2, 0.6, 0.0)]
)
def test_a_cut_samples_the_square_around_the_rectangle(place: tuple[float, ...], black: bool) -> None:
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    cut = Cutter(32, black=black)(image, rect(*place))
    side = max(place[2] * 64, place[3] * 48)
    cos, sin = math.cos(place[4]), math.sin(place[4])
    for row, column in ((0, 0), (0, 31), (31, 0), (15, 16), (7, 25)):
        across, down = (column / 32 - 0.5) * side, (row / 32 - 0.5) * side
        x, y = place[0] * 64 + cos * across - sin * down, place[1] * 48 + sin * across + cos * down
        assert cut.picture[row, column] == pytest.approx(sampled(image, x, y, black), abs=1.5)


def test_a_cut_far_outside_the_picture_repeats_its_edge() -> None:
    image = np.full((20, 30, 3), 7, np.uint8)
    assert (Cutter(64)(image, rect(9000, -9000, 1, 1, 1)).picture == 7).all()


@given(st.lists(st.floats(-2, 2), min_size=5, max_size=5), st.floats(0.05, 3), st.floats(0.05, 3))
@settings(max_examples=50, deadline=None)
def test_points_of_a_cut_lie_where_its_pixels_come_from(
    values: list[float], width: float, height: float
) -> None:
    x, y, angle, u, v = values
    cut = Cutter(64)(np.zeros((480, 640, 3), np.uint8), rect(x, y, width, height, angle))
    points = np.array([[u, v, 0.0]], np.float32)
    by_matrix = cut.to_picture(points[:, :2])
    side = max(width * 640, height * 480)
    across, down = (u - 0.5) * side, (v - 0.5) * side
    expected_x = x + (math.cos(angle) * across - math.sin(angle) * down) / 640
    expected_y = y + (math.sin(angle) * across + math.cos(angle) * down) / 480
    assert by_matrix[0] == pytest.approx([expected_x, expected_y], abs=1e-3)


def test_a_square_is_as_long_as_the_longer_side_and_moves_along_its_own_axis() -> None:
    upright = rect(0.5, 0.5, 0.1, 0.2, 0).squared(SIZE, 2.0, -0.1)
    assert upright == pytest.approx((0.5, 0.48, 192 / 640, 192 / 480, 0))
    quarter = rect(0.5, 0.5, 0.1, 0.2, math.pi / 2).squared(SIZE, 1.0, -0.1)
    assert quarter[:2] == pytest.approx((0.5 + 0.1 * 0.2 * 480 / 640, 0.5))


def test_the_square_around_two_points_is_upright_when_the_second_is_above() -> None:
    found = around_alignment(np.array([0.5, 0.5], SINGLE), np.array([0.5, 0.25], SINGLE), 90, SIZE)
    assert found == pytest.approx((0.5, 0.5, 240 / 640, 0.5, 0), abs=1e-6)
    assert angle_between(np.array([0, 0]), np.array([1, 0]), 90) == pytest.approx(math.pi / 2)
    assert angle_between(np.array([0, 0]), np.array([0, 1]), -90) == pytest.approx(0, abs=1e-6)


def test_the_sigmoid_is_that_of_single_precision() -> None:
    values = np.random.default_rng(2).normal(0, 20, (300, 5)).astype(np.float32)
    assert sigmoid(values) == pytest.approx(1 / (1 + np.exp(-values.astype(np.float64))), rel=3e-7)
    assert sigmoid(np.array([-200, 200], SINGLE)).tolist() == [0, 1]


def test_the_filter_is_that_of_the_paper() -> None:
    signal = np.cumsum(np.random.default_rng(3).normal(size=(40, 3)), axis=0).astype(np.float32)
    ours = OneEuro(0.05, 80.0)
    got = np.stack([ours(row, SINGLE(0.01)) for row in signal])

    def alpha(cutoff: float) -> float:
        return 1 / (1 + (1 / (2 * math.pi * cutoff)) * FREQUENCY)

    for column in range(3):
        last, speed, value = None, 0.0, 0.0
        for n, raw in enumerate(signal[:, column].astype(float)):
            change = 0.0 if last is None else (raw - last) * 0.01 * FREQUENCY
            speed = change if last is None else alpha(1.0) * change + (1 - alpha(1.0)) * speed
            a = alpha(0.05 + 80 * abs(speed))
            value = raw if last is None else a * raw + (1 - a) * value
            last = raw
            assert got[n, column] == pytest.approx(value, rel=1e-4, abs=1e-4)


def test_the_anchors_are_two_in_each_cell_and_six_where_three_strides_are_alike() -> None:
    body, face = anchors(224, (8, 16, 32, 32, 32)), anchors(128, (8, 16, 16, 16))
    assert len(body) == 2 * 28**2 + 2 * 14**2 + 6 * 7**2 == 2254
    assert len(face) == 2 * 16**2 + 6 * 8**2 == 896
    assert body[0].tolist() == body[1].tolist() == pytest.approx([0.5 / 28, 0.5 / 28])
    assert body[2].tolist() == pytest.approx([1.5 / 28, 0.5 / 28])
    assert body[-1].tolist() == pytest.approx([6.5 / 7, 6.5 / 7])


def test_boxes_that_overlap_with_the_best_are_averaged_by_score_and_others_are_not() -> None:
    places = np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 0.1], [0.5, 0.5]], SINGLE)
    boxes = np.zeros((1, 4, 8), SINGLE)
    boxes[0, :, 2:4] = 20
    boxes[0, 0, 4:], boxes[0, 1, 4:], boxes[0, 2, 4:], boxes[0, 3, 4:] = 10, 20, 90, 50
    logits = np.array([[[3.0], [1.0], [2.0], [-1.0]]], SINGLE)
    weights = 1 / (1 + np.exp([-3.0, -1.0]))
    expected = 0.5 + (weights * [0.1, 0.2]).sum() / weights.sum()
    assert best_points(boxes, logits, places, 100, 0.5) == pytest.approx(np.full((2, 2), expected))
    assert best_points(boxes, logits, places, 100, 0.96) is None


def plainly_refined(points: np.ndarray, heat: np.ndarray) -> np.ndarray:
    height, width = heat.shape[:2]
    moved = points.copy()
    for n, (x, y) in enumerate(points):
        column, row = int(x * width), int(y * height)
        if not (0 <= column < width and 0 <= row < height):
            continue
        total = best = sum_x = sum_y = 0.0
        for r in range(max(0, row - 4), min(height, row + 5)):
            for c in range(max(0, column - 4), min(width, column + 5)):
                value = 1 / (1 + math.exp(-float(heat[r, c, n])))
                total, best = total + value, max(best, value)
                sum_x, sum_y = sum_x + value * c, sum_y + value * r
        if best >= 0.5:
            moved[n] = sum_x / total / width, sum_y / total / height
    return moved


@pytest.mark.parametrize("level", [-6.0, 0.0])
def test_points_move_to_the_middle_of_the_heat_around_them(level: float) -> None:
    rng = np.random.default_rng(4)
    heat = rng.normal(level, 1.5, (16, 12, 30)).astype(np.float32)
    points = rng.uniform(-0.2, 1.2, (30, 2)).astype(np.float32)
    points[0] = (-0.01, 0.5)  # rounded towards zero, it lies in the first column
    assert refined(points, heat) == pytest.approx(plainly_refined(points, heat), abs=1e-5)


LIMITS = Limits(degrees=40, translation=0.2, scale=0.4, margin=-0.1)


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        ((0.5, 0.5, 0.3, 0.4, 0.0), True),
        ((0.5 + 0.19 * 0.3, 0.5, 0.3, 0.4, 0.0), True),
        ((0.5 + 0.21 * 0.3, 0.5, 0.3, 0.4, 0.0), False),
        ((0.5, 0.5 - 0.21 * 0.4, 0.3, 0.4, 0.0), False),
        ((0.5, 0.5, 0.3, 0.4, math.radians(39)), True),
        ((0.5, 0.5, 0.3, 0.4, math.radians(-41)), False),
        ((0.5, 0.5, 0.3 * 1.39, 0.4 * 1.39, 0.0), True),
        ((0.5, 0.5, 0.3 * 1.41, 0.4, 0.0), False),
        ((0.5, 0.5, 0.0, 0.0, 0.0), False),
    ],
)
def test_the_last_rectangle_is_kept_while_it_is_near_the_expected_one(
    last: tuple[float, ...], kept: bool
) -> None:
    expected, points = rect(0.5, 0.5, 0.3, 0.4, 0), np.array([[0.5, 0.5]], SINGLE)
    assert followed(Last(points, rect(*last)), expected, LIMITS, SIZE) == (rect(*last) if kept else expected)


@pytest.mark.parametrize(("x", "kept"), [(0.5 + 0.44 * 0.3, True), (0.5 + 0.46 * 0.3, False)])
def test_the_last_rectangle_is_left_when_a_landmark_leaves_the_expected_one(x: float, kept: bool) -> None:
    expected, last = rect(0.5, 0.5, 0.3, 0.4, 0), rect(0.51, 0.5, 0.3, 0.4, 0)
    points = np.array([[0.5, 0.5], [x, 0.5]], SINGLE)
    assert followed(Last(points, last), expected, LIMITS, SIZE) == (last if kept else expected)
    assert followed(None, expected, LIMITS, SIZE) == expected


def seen(content: bytes, side: int) -> list[np.ndarray]:
    picture = np.random.default_rng(5).integers(0, 256, (side, side, 3)).astype(np.uint8)
    return Network(content).see(picture)


def test_a_model_without_its_other_outputs_computes_the_same() -> None:
    name = "pose_landmark/pose_landmark_full"
    whole, part = seen(model_file(name), 256), seen(edited(name, outputs(0, 1, 3)), 256)
    assert [values.tobytes() for values in part] == [whole[number].tobytes() for number in (0, 1, 3)]


def test_a_product_and_a_sum_replace_a_convolution_of_one_pixel() -> None:
    name = "holistic_landmark/hand_recrop"
    (whole,), (parts,) = seen(model_file(name), 256), seen(edited(name, scale_then_shift), 256)
    assert parts == pytest.approx(whole, rel=1e-4, abs=1e-3)


def test_the_mean_of_places_is_the_mean() -> None:
    values = np.random.default_rng(6).normal(size=(1, 7, 7, 20)).astype(np.float32)
    assert mean_of_places(values) == pytest.approx(values.mean(axis=(1, 2)), rel=1e-5, abs=1e-6)


def test_another_model_file_is_refused_with_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "face_landmark/face_landmark"
    monkeypatch.setitem(model_files.SHA256, name, "0" * 64)
    model_file.cache_clear()
    with pytest.raises(SignloomError, match=r"face_landmark\.tflite is not the model of MediaPipe 0\.10\.14"):
        model_file(name)
    model_file.cache_clear()


def test_a_model_that_engine_signloom_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="model_complexity: expected 1, which engine signloom needs"):
        section(LandmarksParams, model_complexity=0)
    assert section(LandmarksParams, model_complexity=0, engine="mediapipe").model_complexity == 0
