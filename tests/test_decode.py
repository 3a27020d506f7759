"""Frames come one at a time, upright, in presentation order, with their true times."""

from __future__ import annotations

import os
import struct
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signloom.dataset.probe import frame_times, why_unreadable
from signloom.video.decode import VideoUnreadable, open_video, read_frames

WIDTH, HEIGHT = 96, 64


def picture(number: int) -> np.ndarray:
    """A grey picture whose brightness is its number, and a red top left corner that shows which way is up."""
    image = np.full((HEIGHT, WIDTH, 3), 40 + number % 40 * 5, np.uint8)
    image[:16, :16] = (250, 10, 10)
    return image


def number_of(image: np.ndarray) -> int:
    return round((float(image[24:40, 32:64].mean()) - 40) / 5)


def write_video(
    path: Path, count: int, rate: int = 25, codec: str = "libx264", times: list[int] | None = None
) -> Path:
    """Write `count` pictures; `times` are their presentation times in milliseconds where they are uneven."""
    with av.open(str(path), "w") as container:
        options = {
            "libx264": {"g": "8", "bf": "2", "crf": "10"},
            # its frames before a key frame may need others before that
            "libx265": {"x265-params": "log-level=0:keyint=12:open-gop=1:bframes=3"},
        }.get(codec, {})
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 8_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotate_by_metadata(path: Path, degrees: int) -> None:
    """Set the display matrix of the track header, as a phone held upright does."""
    one = 1 << 16
    cos, sin = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    set_matrix(path, cos, sin, -sin, cos)


def set_matrix(path: Path, a: int, b: int, c: int, d: int, last: int = 1 << 30) -> None:
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    # after the four-letter name: version and flags 4, times and track id 20, reserved and layer 16
    struct.pack_into(">9i", data, header + 4 + 4 + 20 + 16, a, b, 0, c, d, 0, 0, 0, last)
    path.write_bytes(bytes(data))


def placed_by_formula(image: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Move every pixel by the matrix, and move the result so that it begins at 0, 0."""
    height, width = image.shape[:2]
    moved = {(a * x + c * y, b * x + d * y): image[y, x] for y in range(height) for x in range(width)}
    left, top = min(x for x, _ in moved), min(y for _, y in moved)
    size = (width, height) if a else (height, width)
    out = np.zeros((size[1], size[0], 3), np.uint8)
    for (x, y), colour in moved.items():
        out[y - top, x - left] = colour
    return out


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("decode") / "clip.mp4", 40)


def test_frames_come_in_presentation_order_with_their_times(video: Path) -> None:
    frames = list(read_frames(video))
    assert [frame.number for frame in frames] == list(range(40))
    assert [number_of(frame.image) for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(40) / 25, atol=1e-6)
    assert frames[0].image.shape == (HEIGHT, WIDTH, 3)
    assert frames[0].image.dtype == np.uint8


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "mpeg4"), (".mov", "libx264"), (".mkv", "libx264")])
def test_other_containers_give_the_same_frames(tmp_path: Path, suffix: str, codec: str) -> None:
    path = write_video(tmp_path / f"clip{suffix}", 20, codec=codec)
    frames = list(read_frames(path))
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    part = list(read_frames(path, 0.4, 0.6))
    assert [frame.number for frame in part] == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_is_honoured_as_opencv_does(tmp_path: Path, degrees: int) -> None:
    path = write_video(tmp_path / "phone.mp4", 3)
    plain = next(read_frames(path)).image
    rotate_by_metadata(path, degrees)
    turned = next(read_frames(path)).image
    np.testing.assert_array_equal(turned, np.rot90(plain, -degrees // 90))
    capture = cv2.VideoCapture(str(path))
    found, expected = capture.read()
    capture.release()
    assert found
    assert turned.shape == expected.shape
    # two converters of colour: equal but for rounding
    assert np.abs(turned.astype(int) - expected[..., ::-1]).max() <= 6


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("crossed", [False, True])
def test_a_display_matrix_turns_and_mirrors_as_its_formula_says(
    tmp_path: Path, signs: tuple[int, int], crossed: bool
) -> None:
    path = write_video(tmp_path / "mirror.mp4", 1)
    plain = next(read_frames(path)).image
    matrix = (0, signs[0], signs[1], 0) if crossed else (signs[0], 0, 0, signs[1])
    set_matrix(path, *(one << 16 for one in matrix))
    np.testing.assert_array_equal(next(read_frames(path)).image, placed_by_formula(plain, *matrix))


def test_a_display_matrix_of_zeros_says_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "zero.mp4", 1)
    plain = next(read_frames(path)).image
    set_matrix(path, 0, 0, 0, 0, last=0)
    np.testing.assert_array_equal(next(read_frames(path)).image, plain)


@pytest.mark.parametrize(
    "matrix",
    [(46341, 46341, -46341, 46341), (65536, 20000, 0, 65536), (65536, 0, 0, 0), (65536, 65536, 0, 0)],
)
def test_a_display_matrix_that_slants_the_picture_is_refused(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    path = write_video(tmp_path / "slanted.mp4", 1)
    set_matrix(path, *matrix)
    with pytest.raises(VideoUnreadable, match="is neither a turn by 90 degrees nor a mirror"):
        next(read_frames(path))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.floats(0, 1.5), length=st.floats(0.05, 1.2))
def test_a_part_of_a_file_is_the_slice_of_the_whole(video: Path, start: float, length: float) -> None:
    end = start + length
    part = list(read_frames(video, start, end))
    slack = 5e-4
    expected = [frame for frame in read_frames(video) if start - slack <= frame.time_s < end - slack]
    assert [frame.number for frame in part] == [frame.number for frame in expected]
    for got, whole in zip(part, expected, strict=True):
        np.testing.assert_array_equal(got.image, whole.image)
        assert got.time_s == pytest.approx(whole.time_s - start)


@pytest.mark.parametrize(
    ("suffix", "codec", "count"),
    [(".ts", "libx264", 80), (".mts", "libx264", 12), (".ts", "mpeg2video", 80), (".mpg", "mpeg2video", 80)],
)
def test_a_part_of_a_stream_without_an_index_has_all_its_frames(
    tmp_path: Path, suffix: str, codec: str, count: int
) -> None:
    # a seek in these lands behind the key frame
    path = write_video(tmp_path / f"clip{suffix}", count, codec=codec)
    whole = list(read_frames(path))
    assert len(whole) == count
    for start in np.arange(0, count / 25, 0.17).tolist():
        part = list(read_frames(path, start, start + 0.5))
        expected = [frame for frame in whole if start - 5e-4 <= frame.time_s < start + 0.5 - 5e-4]
        assert [frame.number for frame in part] == [frame.number for frame in expected]
        assert [number_of(frame.image) for frame in part] == [number_of(frame.image) for frame in expected]


def test_b_frames_of_an_avi_come_in_order_with_their_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", 60)
    whole = list(read_frames(path))
    assert [number_of(frame.image) for frame in whole] == [n % 40 for n in range(60)]
    times = [frame.time_s for frame in whole]
    np.testing.assert_allclose(np.diff(times), 1 / 25, atol=1e-6)
    for start in (0.0, 0.5, 1.0, 1.9):
        part = list(read_frames(path, start, start + 0.4))
        expected = [frame for frame in whole if start - 5e-4 <= frame.time_s < start + 0.4 - 5e-4]
        assert [frame.number for frame in part] == [frame.number for frame in expected]
        assert [number_of(frame.image) for frame in part] == [number_of(frame.image) for frame in expected]


def test_a_cut_of_a_video_whose_packets_have_no_times_is_read_from_its_start(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signloom.video.decode._File._packets", lambda self: None)
    assert [number_of(frame.image) for frame in read_frames(video, 0.8, 1.0)] == [20, 21, 22, 23, 24]


def test_frames_are_numbered_from_the_first_that_can_be_decoded(video: Path, tmp_path: Path) -> None:
    # a recording that begins between two key frames, which are eight frames apart
    path = tmp_path / "late.mkv"
    with av.open(str(video)) as inside, av.open(str(path), "w") as outside:
        stream = outside.add_stream_from_template(inside.streams.video[0])
        packets = [packet for packet in inside.demux(video=0) if packet.size]
        for packet in packets[3:]:
            packet.stream = stream
            outside.mux(packet)
    whole = list(read_frames(path))
    part = list(read_frames(path, 0.9, 1.3))
    expected = [frame for frame in whole if 0.9 - 5e-4 <= frame.time_s < 1.3 - 5e-4]
    assert expected
    assert [frame.number for frame in part] == [frame.number for frame in expected]


def test_a_cut_behind_a_damaged_beginning_is_read(video: Path, tmp_path: Path) -> None:
    content = bytearray(video.read_bytes())
    with av.open(str(video)) as container:
        first = next(packet for packet in container.demux(video=0) if packet.size)
        place, size = first.pos, first.size
    content[place : place + size] = b"\xff" * size
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(bytes(content))
    with pytest.raises(VideoUnreadable):
        list(read_frames(broken))
    assert [number_of(frame.image) for frame in read_frames(broken, 0.8, 1.0)] == [20, 21, 22, 23, 24]


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 100, 300, 320, 900]
    path = write_video(tmp_path / "uneven.mkv", 6, rate=1000, times=times)
    frames = list(read_frames(path))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array(times) / 1000, atol=2e-3)


def test_a_pause_of_hours_is_a_damaged_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.mkv", 4, rate=1000, times=[0, 40, 80, 36_000_000])
    with pytest.raises(VideoUnreadable, match=r"frame 3 comes 35999\.9 s after the one before"):
        list(read_frames(path))
    assert len(list(read_frames(path, 0.0, 1.0))) == 3


@pytest.mark.timeout(20)
def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for path, said in (
        (pipe, "is no regular file"),
        (Path("/dev/zero"), "is no regular file"),
        (tmp_path / ("x" * 300), "cannot be opened: File name too long"),
        (Path("zero\0byte.mp4"), "cannot be opened: embedded null byte"),
        (tmp_path / "absent.mp4", "file does not exist"),
    ):
        with pytest.raises(VideoUnreadable, match=said):
            list(read_frames(path))


def test_two_pictures_of_one_number_are_refused_and_hidden_ones_skipped(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), picture(0))
    (tmp_path / "._2.png").write_bytes(b"resource fork")
    assert len(list(read_frames(tmp_path))) == 2
    cv2.imwrite(str(tmp_path / "02.png"), picture(0))
    with pytest.raises(VideoUnreadable, match=r"pictures 02\.png and 2\.png have the same number"):
        list(read_frames(tmp_path))


def test_the_number_that_counts_frames_may_stand_anywhere_in_the_name(tmp_path: Path) -> None:
    # as RWTH-PHOENIX-Weather 2014 names them
    for number in (10, 2, 0):
        name = f"01April_2010_Thursday_heute.avi_pid0_fn{number:06d}-0.png"
        cv2.imwrite(str(tmp_path / name), picture(number)[..., ::-1])
    assert [number_of(frame.image) for frame in read_frames(tmp_path)] == [0, 2, 10]


def test_a_folder_of_pictures_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1, 0):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), picture(number)[..., ::-1])
    (tmp_path / "notes.txt").write_text("not a picture")
    with open_video(tmp_path) as video:
        assert video.fps == 25.0
        frames = list(video.frames())
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 10]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert tuple(frames[0].image[2, 2]) == (250, 10, 10)
    assert [frame.number for frame in read_frames(tmp_path, 0.04, 0.12)] == [1, 2]


def test_what_cannot_be_read_says_why(tmp_path: Path, video: Path) -> None:
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(b"no video" * 100)
    truncated = tmp_path / "truncated.mp4"
    truncated.write_bytes(video.read_bytes()[:2000])
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (garbage, truncated, tmp_path / "absent.mp4", empty):
        with pytest.raises(VideoUnreadable, match=r"\w+"):
            list(read_frames(path))
    with pytest.raises(VideoUnreadable, match="no frame between 7 s and 8 s"):
        list(read_frames(video, 7, 8))
    with pytest.raises(VideoUnreadable, match="no frame between 0 s and 0 s"):
        list(read_frames(video, 0.0, 0.0))


def test_a_damaged_frame_is_no_shorter_clip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", 30, codec="mjpeg")
    data = bytearray(path.read_bytes())
    pictures = [at for at in range(len(data) - 2) if data[at : at + 3] == b"\xff\xd8\xff"]
    data[pictures[15] : pictures[16] - 8] = bytes(pictures[16] - 8 - pictures[15])
    path.write_bytes(bytes(data))
    with pytest.raises(VideoUnreadable):
        list(read_frames(path))


def test_pictures_of_two_sizes_are_unreadable(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), picture(0))
    cv2.imwrite(str(tmp_path / "1.png"), picture(1)[:32])
    said = "frame 1 is 96x32 pixels, the first 96x64; write the film again with pictures of one size"
    with pytest.raises(VideoUnreadable, match=said):
        list(read_frames(tmp_path))


def test_memory_does_not_grow_with_the_length_of_a_clip(tmp_path: Path) -> None:
    path = write_video(tmp_path / "long.mp4", 200)
    tracemalloc.start()
    for _ in read_frames(path, 0.5, 7.9):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * WIDTH * HEIGHT * 3


def test_a_title_that_is_no_utf8_is_no_reason_not_to_see_the_film(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Kaffeehaus"
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    assert b"Kaffeehaus" in content
    path.write_bytes(content.replace(b"Kaffeehaus", "K\xe4ffeeh\xe4us".encode("latin-1")))
    assert why_unreadable(path) is None
    assert len(list(read_frames(path))) == len(frame_times(path)) == 3
