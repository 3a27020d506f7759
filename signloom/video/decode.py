"""Frames of a video file or of a folder of pictures, one at a time, in presentation order."""

import bisect
import itertools
import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from signloom.errors import SignloomError
from signloom.gate import FOLDER_FPS, HIDDEN, LONGEST_GAP_S, PICTURES, picture_numbers, why_shut
from signloom.media import LACKS_END, cut_off, lacks_end, open_media, origin_of

# a boundary that a table rounded to milliseconds still selects the intended frame
TIME_SLACK_S = 5e-4


# of a recording that says no rate, as browsers make them, FFmpeg guesses a frame for every millisecond
_TICKS = 1000
_SLANT = 0.01  # of a matrix whose numbers were rounded, and of pixels that are nearly square


class VideoUnreadable(SignloomError):
    """A video cannot be opened or decoded; the message says why."""


class Frame(NamedTuple):
    """One picture: its number in the source, its time from the clip's start, RGB uint8 (height, width, 3)."""

    number: int
    time_s: float
    image: NDArray[np.uint8]


class _Packets(NamedTuple):
    """The sorted times of all packets of a stream and of its key frames, in units of its time base."""

    times: list[int]
    keys: list[int]


class _File:
    """A container read with PyAV, which gives exact times but does not apply the rotation."""

    def __init__(self, container: Any) -> None:
        if not container.streams.video:
            raise VideoUnreadable("holds no video stream")
        self._container = container
        self._stream = container.streams.video[0]
        # several processes read clips in parallel; threads of the decoder would only compete with them
        self._stream.codec_context.thread_count = 1
        self.fps = self._rate()
        self._pixel = self._stream.sample_aspect_ratio

    def frames(self, start_s: float | None = None, end_s: float | None = None) -> Iterator[Frame]:
        """Yield the frames whose time t satisfies start_s <= t < end_s."""
        # AVI has its times in the order of decoding, and B-frames are shown in another one
        avi = self._container.format.name == "avi"
        packets = self._packets() if start_s or avi else None
        first_index, decoded = self._seek(packets, start_s) if packets and start_s else (0, self._decoded())
        shown = packets.times if packets and avi else []
        yield from _same_size(_within(self._timed(decoded, first_index, shown), start_s, end_s))

    def _rate(self) -> float:
        """Return the mean number of frames a second, or NaN if it is not known."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        if rate and rate < _TICKS:
            return float(rate)
        packets = self._packets()
        lasts = (packets.times[-1] - packets.times[0]) * self._stream.time_base if packets else 0
        return float((len(packets.times) - 1) / lasts) if packets and lasts else math.nan

    def _decoded(self) -> Iterator[Any]:
        return iter(self._container.decode(self._stream))

    def _timed(
        self, decoded: Iterator[Any], first_index: int, shown: Sequence[int]
    ) -> Iterator[tuple[int, float, Any]]:
        """Yield number, time and picture of frames; `shown` are the times of all, or empty."""
        origin = origin_of(self._container)
        for index, frame in enumerate(decoded, start=first_index):
            pts = shown[index] if index < len(shown) else frame.pts
            time_s = index / self.fps if pts is None else float((pts - origin) * self._stream.time_base)
            yield index, time_s, lambda frame=frame, time_s=time_s: _upright(frame, self._pixel, time_s)

    def _packets(self) -> _Packets | None:
        """Return the times of all packets, by a pass without decoding, or None if some are not known."""
        times, keys, broken, trimmed = [], [], False, 0
        for packet in self._container.demux(self._stream):
            if packet.size:
                broken |= packet.pts is None or packet.is_discard or packet.is_corrupt
                times.append(packet.pts)
                keys += [packet.pts] if packet.is_keyframe else []
                # what was trimmed away lies before 0, and the first frame that is shown may need it
                trimmed = min(trimmed, packet.dts or 0) if packet.is_discard else trimmed
        self._container.seek(trimmed, stream=self._stream)
        return None if broken else _Packets(sorted(times), sorted(keys))

    def _undecodable(self, packets: _Packets) -> int:
        """Return how many packets come before the first frame: a recording may begin between key frames."""
        try:
            first = next(self._decoded(), None)
        except av.error.FFmpegError:  # a damaged beginning says nothing of a cut that comes later
            return 0
        return bisect.bisect_left(packets.times, first.pts) if first and first.pts in packets.keys else 0

    def _seek(self, packets: _Packets, start_s: float) -> tuple[int, Iterator[Any]]:
        """Return the number of a frame at or before `start_s`, and the frames from it on.

        In some forms, such as MPEG-TS, a seek lands behind the key frame. Then an earlier one is tried.
        """
        container, stream = self._container, self._stream
        target = round(start_s / stream.time_base) + origin_of(container)
        keys = [pts for pts in packets.keys if pts <= target]
        before, lost = 1, self._undecodable(packets) if len(keys) > 1 else 0
        while before < len(keys):
            container.seek(keys[-before], stream=stream, backward=True)
            decoded = self._decoded()
            frame = next(decoded, None)
            if frame is not None and frame.pts in keys:
                number = bisect.bisect_left(packets.times, frame.pts) - lost
                return number, itertools.chain([frame], decoded)
            before *= 2
        container.seek(0)
        return 0, self._decoded()


class _Folder:
    """Numbered pictures, in the order of their numbers."""

    def __init__(self, path: Path, fps: float) -> None:
        self.fps = fps
        self._files = sorted(
            (
                file
                for file in path.iterdir()
                if file.suffix.lower() in PICTURES and not file.name.startswith(HIDDEN)
            ),
            key=lambda file: (_numbers(file), file.name),
        )
        if not self._files:
            raise VideoUnreadable(
                "the folder holds no PNG or JPEG picture; give a video, or a folder of numbered pictures"
            )
        for before, after in itertools.pairwise(self._files):
            if _numbers(before) == _numbers(after):
                raise VideoUnreadable(f"pictures {before.name} and {after.name} have the same number")

    def frames(self, start_s: float | None = None, end_s: float | None = None) -> Iterator[Frame]:
        """Yield the frames whose time t satisfies start_s <= t < end_s."""
        timed = (
            (index, index / self.fps, lambda file=file: _picture(file))
            for index, file in enumerate(self._files)
        )
        yield from _same_size(_within(timed, start_s, end_s))


@contextmanager
def open_video(path: Path, folder_fps: float | None = None) -> Iterator[_File | _Folder]:
    """Open a video file, or a folder of numbered PNG or JPEG pictures.

    A folder has `folder_fps` frames a second (None: `FOLDER_FPS`).

    Raises VideoUnreadable, here or while frames are read, if the source cannot be read to its end.
    """
    if problem := why_shut(path):
        raise VideoUnreadable(problem)
    if path.is_dir():
        yield _Folder(path, folder_fps or FOLDER_FPS)
        return
    try:
        missing = cut_off(path)
    except OSError as error:
        raise VideoUnreadable(f"cannot be read: {error.strerror}") from error
    if missing:
        raise VideoUnreadable(missing)
    try:
        with open_media(path) as container:
            yield _File(container)
    except av.error.FFmpegError as error:
        raise VideoUnreadable(f"cannot be decoded: {error.strerror}") from error


def read_frames(
    path: Path, start_s: float | None = None, end_s: float | None = None, folder_fps: float | None = None
) -> Iterator[Frame]:
    """Yield the frames of `path` from `start_s` to `end_s` (None: first or last frame); see `open_video`."""
    with open_video(path, folder_fps) as video:
        yield from video.frames(start_s, end_s)


def _within(
    timed: Iterator[tuple[int, float, Any]], start_s: float | None, end_s: float | None
) -> Iterator[Frame]:
    """Decode only the frames inside the clip, and count times from its start."""
    start = start_s or 0.0
    stop = math.inf if end_s is None else end_s - TIME_SLACK_S
    empty, before = True, start
    for index, time_s, picture in timed:
        if time_s >= stop:
            break
        if not empty and time_s < before - TIME_SLACK_S:
            raise VideoUnreadable(
                f"frame {index} is shown at {time_s:g} s, before the last one; join files with ffmpeg's "
                "concat demuxer"
            )
        if time_s >= start - TIME_SLACK_S:
            if time_s - before > LONGEST_GAP_S:
                raise VideoUnreadable(
                    f"frame {index} comes {time_s - before:g} s after the one before; a pause is "
                    f"{LONGEST_GAP_S:g} s at most"
                )
            empty, before = False, time_s
            yield Frame(index, time_s - start, picture())
    if empty:
        until = math.inf if end_s is None else end_s
        inside = "" if start_s is None and end_s is None else f" between {start:g} s and {until:g} s"
        raise VideoUnreadable(f"no frame{inside}")


def _same_size(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Pass frames on; a change of size is an error, because landmarks are fractions of the frame size."""
    size: tuple[int, ...] | None = None
    for frame in frames:
        size = size or frame.image.shape
        if frame.image.shape != size:
            raise VideoUnreadable(
                f"frame {frame.number} is {frame.image.shape[1]}x{frame.image.shape[0]} pixels, "
                f"the first {size[1]}x{size[0]}; write the film again with pictures of one size"
            )
        yield frame


def _upright(frame: Any, pixel: Fraction | None, time_s: float) -> NDArray[np.uint8]:
    """Return the RGB picture as wide as it is shown, turned and mirrored as the display matrix says.

    `pixel` is the width of a pixel by its height, if it is known. The picture is shown at `time_s`.
    """
    if frame.is_corrupt:
        raise VideoUnreadable(f"the frame at {time_s:.2f} s is damaged; write the file again")
    # starting the converter's own threads costs more than they save for one picture
    image = _square(frame.to_ndarray(format="rgb24", threads=1), pixel)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return image if matrix is None else np.ascontiguousarray(placed(image, bytes(matrix)))


def _square(image: NDArray[np.uint8], pixel: Fraction | None) -> NDArray[np.uint8]:
    if not pixel or abs(pixel - 1) < _SLANT:
        return image
    size = max(1, round(image.shape[1] * pixel)), image.shape[0]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def placed(image: NDArray[np.uint8], matrix: bytes) -> NDArray[np.uint8]:
    """Return `image` (height, width, 3) placed as a display matrix says (ISO 14496-12, section 6.2.2).

    The nine numbers a b u, c d v, x y w take the point (p, q) to (a p + c q, b p + d q) and a shift, which
    does not count. A matrix of zeros says nothing. Raises VideoUnreadable for anything but turns by 90
    degrees and mirrors.
    """
    a, b, _, c, d, _, *_ = struct.unpack("=9i", matrix)
    if not any((a, b, c, d)):
        return image
    straight, crossed = max(abs(a), abs(d)), max(abs(b), abs(c))
    whole = min(abs(a), abs(d)) if straight > crossed else min(abs(b), abs(c))
    if whole == 0 or min(straight, crossed) > _SLANT * max(straight, crossed):
        raise VideoUnreadable(
            f"its display matrix ({a / 65536:g} {b / 65536:g}, {c / 65536:g} {d / 65536:g}) is neither a "
            "turn by 90 degrees nor a mirror; write the video anew with upright pictures"
        )
    if crossed > straight:
        image, across, down = image.transpose(1, 0, 2), c, b
    else:
        across, down = a, d
    return image[:: 1 if down > 0 else -1, :: 1 if across > 0 else -1]


def _picture(file: Path) -> NDArray[np.uint8]:
    if problem := why_shut(file):
        raise VideoUnreadable(problem)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise VideoUnreadable(f"picture {file.name} cannot be read: {error.strerror}") from error
    if lacks_end(data):
        raise VideoUnreadable(f"picture {file.name} {LACKS_END}")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if image is None:
        raise VideoUnreadable(f"picture {file.name} cannot be decoded")
    return np.asarray(image, np.uint8)


def _numbers(file: Path) -> tuple[int, ...]:
    numbers = picture_numbers(file)
    if not numbers:
        raise VideoUnreadable(f"picture {file.name} has no number")
    return numbers
