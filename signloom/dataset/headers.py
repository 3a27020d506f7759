"""What the header of a clip's file says, without decoding it: length, frame rate and picture size."""

from pathlib import Path
from typing import NamedTuple

from signloom.dataset.landmark_sources import Settings, kind_of, length_and_rate
from signloom.dataset.probe import files_of, length_s
from signloom.dataset.row_files import RowFiles
from signloom.media import open_media
from signloom.params.dataset import DatasetParams

_NONE = (float("nan"), float("nan"), "")


class Header(NamedTuple):
    """Length in seconds, frames a second (both NaN if not known), and picture size ("" if not known).

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
        frames = files_of(path)
        return Header(len(frames) / folder_fps, folder_fps, _video_header(frames[0]).size)
    return _video_header(path) if path.is_file() else Header(*_NONE)


def landmarks_header(path: Path, dataset: DatasetParams) -> Header | None:
    """Return the header of a clip of landmarks that can be read, or None for any other clip."""
    if dataset.holds_features or not kind_of(path):
        return None
    return Header(*length_and_rate(path, Settings.of(dataset)), "")


def _video_header(path: Path) -> Header:
    with open_media(path) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or stream.guessed_rate or "nan")
        size = f"{stream.width}x{stream.height}"
    return Header(length_s(path) or float("nan"), fps, size)
