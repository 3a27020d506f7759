"""What a command line may hold: paths, cameras, and files that can be written."""

import argparse
import os
from pathlib import Path

from signloom.errors import SignloomError


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


def check_writable(option: str, folder: Path) -> None:
    """Raise SignloomError, before hours of work, if no file could be written into `folder`."""
    place = folder.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise SignloomError(f"{option}: {place} is no folder; name another place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise SignloomError(f"{option}: {place} cannot be written by you; name another folder")
