"""What the header of a clip's file and its first picture say: length, frame rate and picture size."""

from pathlib import Path
from typing import NamedTuple

from signloom.dataset.landmark_sources import Settings, kind_of, length_and_rate
from signloom.dataset.probe import files_of, length_s
from signloom.dataset.row_files import RowFiles
from signloom.params.dataset import DatasetParams
from signloom.video.decode import VideoUnreadable, open_video

_NONE = (float("nan"), float("nan"), "")


class Header(NamedTuple):
    """Length in seconds, frames a second (both NaN if not known), and size shown ("" if not known).

    `columns` is the width of feature rows, and 0 for all others.
    """

    seconds: float
    fps: float
    size: str
    columns: int = 0


def rows_header(rows: RowFiles, path: Path, fps: float) -> Header:
    """Return the header of feature rows, `fps` of them a second; raises as `rows.shape` does."""
    length, columns = rows.shape(path)
    return Header(length / fps, fps, "", columns)


def read_header(path: Path, folder_fps: float) -> Header:
    """Return the header of a video, or of a folder of frames with `folder_fps` frames a second."""
    if path.is_dir():
        return Header(len(files_of(path)) / folder_fps, folder_fps, _first(path)[1])
    return Header(length_s(path) or float("nan"), *_first(path)) if path.is_file() else Header(*_NONE)


def landmarks_header(path: Path, dataset: DatasetParams) -> Header | None:
    """Return the header of a clip of landmarks that can be read, or None for any other clip."""
    if dataset.holds_features or not kind_of(path):
        return None
    return Header(*length_and_rate(path, Settings.of(dataset)), "")


def _first(path: Path) -> tuple[float, str]:
    """Return the frame rate, and the size at which the first picture is shown: upright, of square pixels."""
    try:
        with open_video(path) as video:
            height, width = next(video.frames()).image.shape[:2]
            return video.fps, f"{width}x{height}"
    except VideoUnreadable:
        return float("nan"), ""
