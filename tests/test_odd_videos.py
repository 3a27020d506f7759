"""Videos as cameras and tools leave them: pixels that are not square, late pictures, joined files."""

from __future__ import annotations

import os
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from signloom.dataset.headers import read_header
from signloom.dataset.probe import end_of, frame_times, length_s, why_unreadable
from signloom.video.decode import VideoUnreadable, open_video, read_frames
from tests.test_decode import picture, rotate_by_metadata, write_video
from tests.videos import write_frames, write_pictures


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("odd") / "plain.mp4", 40)


def test_pixels_that_are_not_square_are_shown_as_wide_as_players_show_them(tmp_path: Path) -> None:
    def written(name: str, pixel: Fraction) -> np.ndarray:
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv444p"
            stream.sample_aspect_ratio = pixel
            for number in range(3):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
            container.mux(stream.encode())
        return next(read_frames(tmp_path / name)).image

    plain = written("plain.mp4", Fraction(1))
    assert plain.shape == (64, 96, 3) and written("nearly.mp4", Fraction(400, 399)).shape == plain.shape
    wide = written("wide.mp4", Fraction(4, 3))
    assert wide.shape == (64, 128, 3)
    np.testing.assert_array_equal(wide, cv2.resize(plain, (128, 64), interpolation=cv2.INTER_LINEAR))


def test_the_size_of_a_clip_is_that_of_its_upright_pictures(tmp_path: Path) -> None:
    turned = write_pictures(tmp_path / "turned.mp4", [np.zeros((48, 96, 3), np.uint8)] * 2)
    assert read_header(turned, 25.0).size == "96x48"
    rotate_by_metadata(turned, 90)
    assert read_header(turned, 25.0).size == "48x96"
    (tmp_path / "photos").mkdir()
    turn = Image.Exif()
    turn[0x0112] = 6  # the tag for orientation; 6 is a quarter turn
    Image.new("RGB", (96, 48)).save(tmp_path / "photos/1.jpg", exif=turn)
    assert read_header(tmp_path / "photos", 25.0).size == "48x96"
    (tmp_path / "photos/1.jpg").write_bytes(b"no picture")
    assert read_header(tmp_path / "photos", 25.0).size == ""


def test_times_count_from_where_the_file_begins_as_in_players(video: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.mkv"
    with av.open(str(video)) as source, av.open(str(late), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        copied = container.add_stream_from_template(source.streams.video[0])
        quiet = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        quiet.sample_rate, quiet.pts = 8000, 0
        container.mux(sound.encode(quiet))
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts += round(0.8 / packet.time_base)
                packet.dts += round(0.8 / packet.time_base)
                packet.stream = copied
                container.mux(packet)
        container.mux(sound.encode())
    plain, found = list(read_frames(video)), list(read_frames(late))
    assert [frame.time_s for frame in found] == pytest.approx(
        [frame.time_s + 0.8 for frame in plain], abs=2e-3
    )
    assert frame_times(late)[0] == pytest.approx(0.8, abs=2e-3)
    (first, *_) = read_frames(late, 1.0, 1.2)
    np.testing.assert_array_equal(first.image, next(read_frames(video, 0.2, 0.4)).image)


def test_files_that_were_joined_end_to_end_are_named(tmp_path: Path) -> None:
    parts = [write_video(tmp_path / f"{number}.ts", 12) for number in range(2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(VideoUnreadable, match="before the last one; join files with ffmpeg's concat demuxer"):
        list(read_frames(joined))


def test_a_colon_in_a_name_is_no_protocol(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("2024-05-01T10:30:00.mp4", "concat:a.mp4", "file:b.mp4"):
        Path(name).write_bytes(video.read_bytes())
        assert why_unreadable(Path(name)) is None and len(list(read_frames(Path(name)))) > 1


def test_a_pipe_among_pictures_is_never_opened(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), picture(1))
    os.mkfifo(tmp_path / "2.png")
    with pytest.raises(VideoUnreadable, match="is no regular file"):
        list(read_frames(tmp_path))


@pytest.mark.parametrize("name", ["whole.mkv", "whole.webm"])
def test_a_file_of_matroska_that_was_cut_off_is_no_shorter_clip(tmp_path: Path, name: str) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode())
    data = (tmp_path / name).read_bytes()
    assert why_unreadable(tmp_path / name) is None and len(list(read_frames(tmp_path / name))) == 30
    (tmp_path / f"cut_{name}").write_bytes(data[: len(data) * 6 // 10])
    said = f"ends after {len(data) * 6 // 10:,} of {len(data):,} bytes; copy it again"
    assert why_unreadable(tmp_path / f"cut_{name}") == said
    with pytest.raises(VideoUnreadable, match=said):
        list(read_frames(tmp_path / f"cut_{name}"))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mov", "libx264"), ("a.avi", "mpeg4"), ("a.wmv", "wmv2")],
)
def test_a_file_that_was_cut_off_between_two_frames_is_no_shorter_clip(
    tmp_path: Path, name: str, codec: str
) -> None:
    whole = write_beginning_with_its_header(tmp_path / name, 30, codec)
    assert why_unreadable(whole) is None and len(list(read_frames(whole))) == 30
    with av.open(str(whole)) as container:
        ends = max(packet.pos for packet in container.demux(video=0) if packet.size)
    data = whole.read_bytes()
    cut = tmp_path / f"cut_{name}"
    # as after a copy that was broken off, where what comes next would have been sound
    cut.write_bytes(data[:ends])
    said = rf"ends after {ends:,} of [0-9,]+ bytes; copy it again"
    assert re.fullmatch(said, str(why_unreadable(cut)))
    with pytest.raises(VideoUnreadable, match=said):
        list(read_frames(cut))


def test_a_film_whose_recorder_wrote_no_size_and_one_with_more_behind_it_are_whole(tmp_path: Path) -> None:
    for name, codec in (("a.avi", "mpeg4"), ("a.mp4", "libx264"), ("a.wmv", "wmv2")):
        path = write_beginning_with_its_header(tmp_path / name, 5, codec)
        path.write_bytes(path.read_bytes() + b"\x00\x00\x10\x00free" + bytes(50))
        assert why_unreadable(path) is None and len(list(read_frames(path))) == 5
    avi = tmp_path / "a.avi"
    for size in (b"\xff" * 4, bytes(4)):
        data = avi.read_bytes()
        avi.write_bytes(data[:4] + size + data[8:])
        assert why_unreadable(avi) is None and len(list(read_frames(avi))) == 5


def write_beginning_with_its_header(path: Path, count: int, codec: str) -> Path:
    header = {"movflags": "faststart"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=header) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.max_b_frames = 0
        for number in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("suffix", "packet"), [(".ts", 188), (".m2ts", 192)])
def test_a_transport_stream_that_was_cut_off_is_no_shorter_clip(
    tmp_path: Path, suffix: str, packet: int
) -> None:
    whole = write_video(tmp_path / f"whole{suffix}", 30)
    data = whole.read_bytes()
    assert len(data) % packet == 0
    assert why_unreadable(whole) is None and len(list(read_frames(whole))) == 30
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: packet * 40 + 7])
    said = f"ends within a packet, 7 of {packet} bytes; copy it again"
    assert why_unreadable(cut) == said
    with pytest.raises(VideoUnreadable, match=said):
        list(read_frames(cut))


def test_a_film_that_was_sent_while_it_was_recorded_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    live = tmp_path / "live.mkv"
    with av.open(str(live), "w", options={"live": "1"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
        container.mux(stream.encode())
    assert why_unreadable(live) is None and len(list(read_frames(live))) == 1
    (tmp_path / "short.mkv").write_bytes(live.read_bytes()[:3])
    assert why_unreadable(tmp_path / "short.mkv")


def test_a_picture_with_something_behind_its_end_or_a_small_one_in_its_head_is_whole(tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", 1, suffix=".jpg")
    (file,) = frames.iterdir()
    plain, small = file.read_bytes(), b"\xff\xd8\xff\xda\x00\x02 \xff\xd9"
    head = b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small
    for whole in (plain + np.random.default_rng(0).bytes(1 << 20), plain[:2] + head + plain[2:]):
        file.write_bytes(whole)
        assert why_unreadable(frames) is None and len(list(read_frames(frames))) == 1
    file.write_bytes(plain[:2] + head + plain[2 : len(plain) // 2])
    assert "has no mark of its end" in str(why_unreadable(frames))


def test_a_file_that_may_not_be_read_is_one_clip_and_no_end(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(path: Path, *rest: object) -> None:
        raise PermissionError(13, "Permission denied")

    frames = write_frames(tmp_path / "frames", 1)
    for name, source in (("open", video), ("read_bytes", frames)):
        with monkeypatch.context() as patch, pytest.raises(VideoUnreadable, match="Permission denied"):
            patch.setattr(Path, name, shut)
            list(read_frames(source))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_that_was_cut_off_is_not_filled_with_grey(tmp_path: Path, suffix: str) -> None:
    frames = write_frames(tmp_path / "frames", 3, suffix=suffix)
    assert len(list(read_frames(frames))) == 3
    last = sorted(frames.iterdir())[-1]
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 3])
    with pytest.raises(
        VideoUnreadable, match=f"picture {last.name} (has no mark of its end|cannot be decoded)"
    ):
        list(read_frames(frames))


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.wmv", "a.mp4", "a.ts"])
def test_the_length_of_a_film_counts_from_its_first_picture(tmp_path: Path, name: str) -> None:
    codec = {".webm": "libvpx", ".wmv": "wmv2"}.get(Path(name).suffix, "libx264")
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        frames = [av.VideoFrame.from_ndarray(picture(number), format="rgb24") for number in range(30)]
        for packet in [packet for frame in [*frames, None] for packet in stream.encode(frame)]:
            packet.pts, packet.dts = (time + round(2 / packet.time_base) for time in (packet.pts, packet.dts))
            container.mux(packet)
    times, length = frame_times(tmp_path / name), length_s(tmp_path / name)
    assert times[0] == 0 and length == pytest.approx(times[-1] + 0.04, abs=0.01)


def test_the_length_of_a_program_stream_is_that_of_its_pictures(tmp_path: Path) -> None:
    file = tmp_path / "camera.mpg"
    with av.open(str(file), "w", format="mpeg") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(100):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number % 40), format="rgb24")))
        container.mux(stream.encode())
    times = frame_times(file)
    assert length_s(file) == pytest.approx(times[-1] + 0.04, abs=1e-3) and len(times) == 100


def test_a_recording_of_a_browser_has_the_rate_and_the_length_of_its_frames(tmp_path: Path) -> None:
    # it says neither, and FFmpeg guesses 1000 frames a second
    file = tmp_path / "recorded.webm"
    times = np.cumsum([0, *np.random.default_rng(0).integers(20, 55, 59)])
    with av.open(str(file), "w", options={"live": "1"}) as container:
        stream = container.add_stream("libvpx", options={"deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.framerate = Fraction(1, 1000), Fraction(0)
        for number, time_ms in enumerate(times.tolist()):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(file)) as container:
        assert container.duration is None and container.streams.video[0].guessed_rate == 1000
    shown = float(np.median(np.diff(times)))
    seconds, fps, size, _ = read_header(file, 25.0)
    assert seconds == pytest.approx((times[-1] + shown) / 1000) and size == "96x64"
    assert fps == pytest.approx(59_000 / times[-1])
    with open_video(file) as video:
        assert video.fps == fps
        assert [frame.time_s for frame in video.frames()] == pytest.approx(times / 1000)


@pytest.mark.parametrize(
    ("codec", "start", "end"),
    [
        *[("libx264", 0.0, 1.2), ("libx264", 0.6, 2.4), ("libx264", 0.96, 2.0)],
        ("libx265", 1.92, 3.0),  # begins with a frame that needs others, which were trimmed away
    ],
)
def test_frames_that_a_phone_trimmed_away_do_not_count(
    tmp_path: Path, codec: str, start: float, end: float
) -> None:
    # it changes the edit list alone (ISO 14496-12, section 8.6.6): length, and where it begins in the media
    film = write_video(tmp_path / "film.mov", 75, codec=codec)
    data = bytearray(film.read_bytes())
    of_film, of_track = (
        struct.unpack_from(">I", data, data.index(name) + 16)[0] for name in (b"mvhd", b"mdhd")
    )
    place = data.index(b"elst") + 12
    _, begins = struct.unpack_from(">2I", data, place)
    edit = round((end - start) * of_film), begins + round(start * of_track)
    struct.pack_into(">2I", data, place, *edit)
    film.write_bytes(bytes(data))
    whole = list(read_frames(film))
    assert len(whole) == round((end - start) * 25) == len(frame_times(film))
    np.testing.assert_allclose(frame_times(film), [frame.time_s for frame in whole], atol=1e-6)
    assert [length_s(film), end_of(frame_times(film))] == pytest.approx([end - start] * 2)
    for begin in np.arange(0.03, end - start - 0.2, 0.19).tolist():
        part = list(read_frames(film, begin, begin + 0.2))
        expected = [frame for frame in whole if begin - 5e-4 <= frame.time_s < begin + 0.2 - 5e-4]
        assert [frame.number for frame in part] == [frame.number for frame in expected]
        assert all(np.array_equal(one.image, two.image) for one, two in zip(part, expected, strict=True))


@pytest.mark.parametrize(("name", "sound"), [("a.mkv", "pcm_s16le"), ("a.flv", "pcm_s16le")])
def test_sound_that_goes_on_is_no_film(tmp_path: Path, video: Path, name: str, sound: str) -> None:
    with av.open(str(video)) as source, av.open(str(tmp_path / name), "w") as container:
        heard = container.add_stream(sound, rate=44100, layout="mono")
        copied = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copied
                container.mux(packet)
        quiet = av.AudioFrame.from_ndarray(np.zeros((1, 132300), np.int16), format="s16", layout="mono")
        quiet.sample_rate, quiet.pts = 44100, 0
        container.mux(heard.encode(quiet))
        container.mux(heard.encode())
    with av.open(str(tmp_path / name)) as container:
        assert container.duration and container.duration >= 2_900_000
    assert length_s(tmp_path / name) == pytest.approx(1.6, abs=2e-3)
