"""A quick check whether a clip's file can be read at all."""

import struct
from pathlib import Path

import av

VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".3gp", ".mpg", ".mpeg", ".wmv", ".ts", ".mts"),
    *(".flv", ".ogv", ".gif"),
)
# files of landmarks, which take the place of a video
LANDMARK_SUFFIXES = (".pose",)
FRAME_SUFFIXES = (".png", ".jpg", ".jpeg")


def why_unreadable(path: Path) -> str | None:
    """Return why a video, folder of frames or file of landmarks is unreadable, or None."""
    if path.is_dir():
        return _folder_problem(path)
    if path.suffix.lower() in LANDMARK_SUFFIXES:
        return _landmarks_problem(path)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return f"{path.suffix or 'no suffix'} is not one of {', '.join(VIDEO_SUFFIXES)} or a folder of frames"
    return _picture_problem(path)


def length_s(path: Path) -> float | None:
    """Return the length of a video file in seconds as its header says it, or None if that is not known."""
    if path.suffix.lower() not in VIDEO_SUFFIXES or not path.is_file():
        return None
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.duration and stream.time_base:
                return float(stream.duration * stream.time_base)
            return container.duration / av.time_base if container.duration else None
    except (av.FFmpegError, IndexError, OSError):
        # `why_unreadable` says what is wrong with the file
        return None


def files_of(path: Path) -> list[Path]:
    """Return the file `path`, or the pictures in the folder `path` but no other files, sorted by name."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in FRAME_SUFFIXES and file.is_file())


def _picture_problem(path: Path) -> str | None:
    """Return why the first picture of a video or picture file cannot be decoded, or None if it can."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return "the file has no video stream"
            next(container.decode(video=0))
    except (av.FFmpegError, StopIteration, OSError) as error:
        return f"no frame can be decoded: {type(error).__name__}: {error}".rstrip(": ")
    return None


def _folder_problem(path: Path) -> str | None:
    frames = files_of(path)
    if not frames:
        return f"{path} holds no PNG or JPEG frame"
    nameless = [file.name for file in frames if not any(letter.isdecimal() for letter in file.stem)]
    if nameless:
        return f"frame {nameless[0]} has no number in its name"
    problem = _picture_problem(frames[0])
    return problem and f"{frames[0].name}: {problem}"


def _landmarks_problem(path: Path) -> str | None:
    """Return why the header of a `.pose` file cannot be used; stage landmarks reads the rest."""
    # slow to import, and most corpora have none
    from pose_format import Pose
    from pose_format.pose_body import EmptyPoseBody

    try:
        with path.open("rb") as file:
            header = Pose.read(file, EmptyPoseBody).header
    except (OSError, EOFError, ValueError, TypeError, NotImplementedError, struct.error) as error:
        return f"not a .pose file that pose-format reads: {error}"
    names = [component.name for component in header.components]
    if "POSE_LANDMARKS" not in names:
        return f"expected MediaPipe Holistic with POSE_LANDMARKS; the file has {', '.join(names)}"
    return None
