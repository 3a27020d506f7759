"""What a command line may hold: paths, cameras, and files that can be written."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from signloom.errors import SignloomError
from signloom.gate import PICTURES


def path(text: str) -> Path:
    """Return `text` as a path; an empty one would mean the current folder."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a path, found {text!r}")
    return Path(text)


def camera(text: str) -> int:
    """Return the number of a camera, counted from 0."""
    if not text.isdecimal() or len(text) > 4:
        raise argparse.ArgumentTypeError(f"expected the number of a camera from 0, found {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Return a time in seconds."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected seconds with a point, such as 1.35, found {text!r}"
        ) from None


def check_output(option: str, output: Path, suffix: str, inputs: Iterable[Path]) -> None:
    """Raise SignloomError if `output` is no file name with `suffix`, or is or lies in one of the `inputs`.

    Only folders of pictures are meant: whatever lies beside the frames of a clip would be one of them.
    """
    if output.is_dir():
        raise SignloomError(f"{option}: {output} is a folder; name a file")
    if output.suffix.lower() != suffix:
        raise SignloomError(f"{option}: {output}: expected a name that ends in {suffix}")
    for file in inputs:
        if output.exists() and file.exists() and output.samefile(file):
            raise SignloomError(f"{option}: {output} is {file} itself; give another name")
        keep_out(option, output.parent, file)
    check_writable(option, output.parent)


def keep_out(option: str, folder: Path, clip: Path) -> None:
    """Raise SignloomError if `folder` is `clip`, a folder of pictures."""
    if not (clip.is_dir() and folder.exists() and folder.samefile(clip)):
        return
    # a slow import
    from signloom.dataset.probe import VIDEO_SUFFIXES

    suffixes = {file.suffix.lower() for file in clip.iterdir()}
    # pictures beside videos are no frames
    if suffixes & PICTURES and not suffixes & {*VIDEO_SUFFIXES}:
        raise SignloomError(f"{option}: {clip} holds the frames of a clip; name another folder")


def check_writable(option: str, folder: Path) -> None:
    """Raise SignloomError, before hours of work, if no file could be written into `folder`."""
    place = folder.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise SignloomError(f"{option}: {place} is no folder; name another place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise SignloomError(f"{option}: {place} cannot be written by you; name another folder")
