"""A folder with a subfolder for each sign: its name is the gloss, and all in it are clips."""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from signloom.console import number_of
from signloom.dataset.forms.texts import one_form, one_gloss, text_numbers
from signloom.dataset.landmark_sources import kind_of
from signloom.dataset.probe import FRAME_SUFFIXES, VIDEO_SUFFIXES
from signloom.errors import SignloomError
from signloom.gate import is_hidden

Entry = tuple[Path, Path]  # the folder of a sign, and what lies in it
# films and pictures that move, of kinds that are not read
_OTHER_FILMS = (
    *(".webp", ".apng", ".avif", ".heic", ".vob", ".mxf", ".asf", ".divx", ".f4v", ".3g2", ".qt", ".dv"),
    *(".rm", ".rmvb", ".m2v", ".mpe", ".ogm", ".h264", ".h265", ".hevc"),
)


def read_folders(files: list[Path], videos: Path, warnings: list[str]) -> pd.DataFrame:
    """Return a row for every video, or folder of frames, in the subfolders of `dataset.table`.

    Where there are none, all files and folders of landmarks count. Adds a line to `warnings` for signs
    without a clip, and one for films and folders that are left out.

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
        if sign.is_dir() and not is_hidden(Path(sign.name))  # such as a folder of deleted files
        for clip in sorted(sign.iterdir())
        if not is_hidden(Path(clip.name))
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
    warnings += _left_out(inside, clips)
    found = pd.DataFrame(rows, columns=["video", "sentence", "gloss"])
    return found.assign(
        row=[unicodedata.normalize("NFC", video) for video in found["video"]],
        sentence_id=text_numbers(found["sentence"].tolist()),
    )


def _left_out(inside: Sequence[Entry], clips: Sequence[Entry]) -> Iterator[str]:
    """Yield a line about signs of which no entry is one of `clips`, and one about films that are not read."""
    with_clips = {sign for sign, _ in clips}
    if bare := sorted({sign for sign, _ in inside} - with_clips):
        count = number_of(len(bare), "folder of a sign holds", "folders of signs hold")
        yield f"{count} no clip, so the sign is left out; first {bare[0]}"
    left = sorted({clip for _, clip in inside} - {clip for _, clip in clips})
    if lost := [clip for clip in left if clip.is_dir() or clip.suffix.lower() in _OTHER_FILMS]:
        count = number_of(len(lost), "film or folder is", "films or folders are")
        yield (
            f"{count} left out, first {lost[0]}; make it a video such as .mp4, or a folder of pictures, "
            "directly in the folder of its sign"
        )


def is_clip(path: Path) -> bool:
    """Return whether `path` is a video file or a folder that holds pictures."""
    if path.is_dir():
        return any(file.suffix.lower() in FRAME_SUFFIXES for file in path.iterdir())
    return path.suffix.lower() in VIDEO_SUFFIXES
