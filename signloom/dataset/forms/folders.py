"""A folder with a subfolder for each sign: its name is the gloss, and all in it are clips."""

import unicodedata
from pathlib import Path

import pandas as pd

from signloom.dataset.forms.texts import one_form, one_gloss, text_numbers
from signloom.dataset.landmark_sources import kind_of
from signloom.dataset.probe import FRAME_SUFFIXES, VIDEO_SUFFIXES
from signloom.errors import SignloomError


def read_folders(files: list[Path], videos: Path) -> pd.DataFrame:
    """Return a row for every video, or folder of frames, in the subfolders of `dataset.table`.

    Where there are none, all files and folders of landmarks count.

    Raises SignloomError if the folder is not inside `dataset.videos` or holds no such clip.
    """
    (table,) = files
    if not table.is_dir() or not table.is_relative_to(videos):
        raise SignloomError(
            f"dataset.table: {table}: importer folders expects the folder of the signs, which is "
            f"dataset.videos ({videos}) or a folder in it"
        )
    inside = [
        (sign, clip)
        for sign in sorted(table.iterdir())
        if sign.is_dir() and not sign.name.startswith(".")  # such as a folder of deleted files
        for clip in sorted(sign.iterdir())
        if not clip.name.startswith(".")
    ]
    # beside videos, such files may be anything
    clips = [(sign, clip) for sign, clip in inside if is_clip(clip)] or [
        (sign, clip) for sign, clip in inside if kind_of(clip)
    ]
    rows = [
        [clip.relative_to(videos).as_posix(), one_form(sign.name), one_gloss(sign.name)]
        for sign, clip in clips
    ]
    if not rows:
        raise SignloomError(f"dataset.table: {table} holds no subfolder with videos or landmarks")
    found = pd.DataFrame(rows, columns=["video", "sentence", "gloss"])
    return found.assign(
        row=[unicodedata.normalize("NFC", video) for video in found["video"]],
        sentence_id=text_numbers(found["sentence"].tolist()),
    )


def is_clip(path: Path) -> bool:
    """Return whether `path` is a video file or a folder that holds pictures."""
    if path.is_dir():
        return any(file.suffix.lower() in FRAME_SUFFIXES for file in path.iterdir())
    return path.suffix.lower() in VIDEO_SUFFIXES
