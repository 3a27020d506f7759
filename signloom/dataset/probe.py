"""A quick check whether a clip's file can be read at all."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from signloom.gate import HIDDEN, PROBE_S, picture_numbers, why_shut
from signloom.media import LACKS_END, cut_off, lacks_end, open_media, origin_of

T = TypeVar("T")
VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".3gp", ".mpg", ".mpeg", ".wmv", ".ts", ".mts"),
    *(".m2ts", ".flv", ".ogv", ".gif"),
)
# forms whose length counts from 0, wherever the film begins
_FROM_ZERO = ("matroska,webm", "asf")
FRAME_SUFFIXES = (".png", ".jpg", ".jpeg")
KEYPOINTS_END = "_keypoints.json"
# the files of a folder, one for each frame: pictures, else rows of landmarks, else OpenPose's
_FRAME_ENDS: tuple[tuple[str, ...], ...] = (FRAME_SUFFIXES, (".npy",), (KEYPOINTS_END,))


def why_unreadable(path: Path) -> str | None:
    """Return why a video or folder of frames is unreadable, or None."""
    if path.is_dir():
        return _folder_problem(path)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return f"{path.suffix or 'no suffix'} is not one of {', '.join(VIDEO_SUFFIXES)} or a folder of frames"
    return _picture_problem(path)


def length_s(path: Path) -> float | None:
    """Return the length of a video file in seconds, or None if it is not known.

    The header says it, or else the times of the frames.
    """
    if not _is_video_file(path):
        return None
    try:
        return _ask(path, _length_s)
    except (av.FFmpegError, IndexError, OSError):
        # `why_unreadable` says what is wrong with the file
        return None


def frame_times(path: Path) -> NDArray[np.float64]:
    """Return the sorted times in seconds of all frames of a video file; none if they are not known."""
    if not _is_video_file(path):
        return np.empty(0)
    try:
        return _ask(path, _times)
    except (av.FFmpegError, IndexError, OSError):
        return np.empty(0)  # `why_unreadable` says what is wrong with the file


def end_of(times: NDArray[np.float64]) -> float | None:
    """Return when a film with frames at `times` ends, in seconds, or None if it has less than two frames."""
    return float(times[-1] + np.median(np.diff(times))) if len(times) > 1 else None


def skipped_pictures(path: Path) -> str | None:
    """Return which numbers are missing in a folder of pictures, or None; every second picture is a choice."""
    if not path.is_dir():
        return None
    columns = list(zip(*map(picture_numbers, files_of(path)), strict=False))
    counting = [column for column in columns if len({*column}) > 1]
    if len(counting) != 1:  # nothing says which number counts the frames
        return None
    numbers = sorted(counting[0])
    steps = [(after - before, before) for before, after in itertools.pairwise(numbers)]
    usual = min((step for step, _ in steps), default=1)
    return next((f"no picture {before + usual} in {path}" for step, before in steps if step > usual), None)


def files_of(path: Path) -> list[Path]:
    """Return the file `path`, or the files of the frames in the folder `path`, sorted by name.

    They are the pictures; without pictures, rows of landmarks or OpenPose's files. Other files do not count.
    """
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if not file.name.startswith(HIDDEN) and file.is_file())
    found = ([file for file in files if file.name.lower().endswith(ends)] for ends in _FRAME_ENDS)
    return next((frames for frames in found if frames), [])


def _is_video_file(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not why_shut(path) and path.is_file()


def _picture_problem(path: Path) -> str | None:
    """Return why the first picture of a video or picture file cannot be decoded, or None if it can."""
    try:
        return cut_off(path) or _ask(path, _first_picture_problem)
    except (av.FFmpegError, StopIteration, OSError) as error:
        return f"no frame can be decoded: {type(error).__name__}: {error}".rstrip(": ")


def _ask(path: Path, read: Callable[[InputContainer], T]) -> T:
    """Return what `read` says of the opened file; it is asked once more where an answer took too long.

    The clock goes on while a process is stopped, as by Ctrl-Z, and that says nothing about the file.
    """
    try:
        with open_media(path, PROBE_S) as container:
            return read(container)
    except av.ExitError:
        with open_media(path, PROBE_S) as container:
            return read(container)


def _length_s(container: InputContainer) -> float | None:
    stream = container.streams.video[0]
    # MPEG has no header, and FFmpeg guesses the length by the bytes; others give that of the sound as well
    guessed = container.format.name == "mpeg" or (not stream.duration and container.streams.audio)
    if guessed and (end := end_of(_times(container))):
        return end
    if container.format.name in _FROM_ZERO and container.duration and stream.time_base:
        return float(container.duration / av.time_base - origin_of(container) * stream.time_base)
    if stream.duration and stream.time_base:
        late = (stream.start_time or 0) - origin_of(container)
        return float((stream.duration + late) * stream.time_base)
    # a browser's recording does not say how long it is
    return container.duration / av.time_base if container.duration else end_of(_times(container))


def _times(container: InputContainer) -> NDArray[np.float64]:
    stream = container.streams.video[0]
    # a frame that was trimmed away is still there, and is not shown
    shown = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
    times = [packet.pts for packet in shown]
    if any(time is None for time in times) or not stream.time_base:
        return np.empty(0)
    return np.sort((np.array(times, float) - origin_of(container)) * float(stream.time_base))


def _first_picture_problem(container: InputContainer) -> str | None:
    if not container.streams.video:
        return "the file has no video stream"
    next(container.decode(video=0))
    return None


def _folder_problem(path: Path) -> str | None:
    frames = files_of(path)
    if not frames:
        return f"{path} holds no PNG or JPEG frame"
    nameless = [file.name for file in frames if not any(letter.isdecimal() for letter in file.stem)]
    if nameless:
        return f"frame {nameless[0]} has no number in its name"
    named: dict[tuple[int, ...], str] = {}
    for file in frames:
        other = named.setdefault(picture_numbers(file), file.name)
        if other != file.name:
            return f"pictures {other} and {file.name} have the same number"
    problem = _picture_problem(frames[0]) or (LACKS_END if lacks_end(frames[0].read_bytes()) else None)
    return problem and f"{frames[0].name}: {problem}"
