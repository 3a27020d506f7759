"""Open the files of landmarks: rows of numbers, numbered files of a folder, and people in JSON."""

import json
import re
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signloom.dataset.probe import KEYPOINTS_END, files_of
from signloom.errors import SignloomError

# numbers of a row: the whole body, without the face, and both hands alone
WHOLE, NO_FACE, HANDS = LANDMARK_WIDTHS = 1662, 258, 126
_MOST_MISSING = 0.9  # share of frame numbers without a file; above it, the numbers mean something else
# of damaged and of locked files; NumPy reads the header of an array as Python
_UNREADABLE = (
    *(OSError, EOFError, ValueError, IndexError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


class LandmarksUnreadable(SignloomError):
    """A clip of landmarks cannot be read; the message says why."""


def numbered(folder: Path) -> dict[int, Path]:
    """Return the files of the frames of a folder by frame number, in order."""
    found: dict[int, Path] = {}
    for file in files_of(folder):
        name = file.name.lower().removesuffix(KEYPOINTS_END).removesuffix(".npy")
        numbers = re.findall(r"\d+", name)
        if not numbers:
            raise LandmarksUnreadable(f"frame {file.name} has no number in its name")
        if int(numbers[-1]) in found:
            raise LandmarksUnreadable(f"{found[int(numbers[-1])].name} and {file.name} have one frame number")
        found[int(numbers[-1])] = file
    return dict(sorted(found.items()))


def span(numbers: Sequence[int]) -> range:
    """Return the frame numbers from the first to the last of `numbers`."""
    if not numbers:
        raise LandmarksUnreadable("there is no frame")
    whole = range(min(numbers), max(numbers) + 1)
    if len(numbers) < (1 - _MOST_MISSING) * len(whole):
        raise LandmarksUnreadable(
            f"{len(numbers)} frames are numbered from {whole.start} to {whole.stop - 1}; expected numbers "
            "that follow each other"
        )
    return whole


def table_shape(path: Path) -> tuple[int, int]:
    """Return the number of rows and of numbers in a row; an `.npz` alone is loaded for it."""
    if path.suffix.lower() != ".csv":
        return _two_sided(read_table(path))
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
            count = sum(1 for line in file if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise LandmarksUnreadable(f"cannot be read: {error}") from error
    if not first.strip():
        raise LandmarksUnreadable("the file is empty")
    rows = count + (not _names(first))
    if not rows:
        raise LandmarksUnreadable("there is no row below its names of columns")
    return rows, known_width(len(first.split(",")))


def read_table(path: Path) -> NDArray[Any]:
    """Return rows (n, width) of numbers; an `.npy` is mapped, of an `.npz` the first array is taken."""
    try:
        if path.suffix.lower() == ".csv":
            values = _csv_rows(path)
        elif path.suffix.lower() == ".npz":
            file = np.load(path, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("this is an .npy file; rename it to end in .npy")
            with file:
                values = file[file.files[0]]
        else:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
    except _UNREADABLE as error:
        raise LandmarksUnreadable(f"not rows of numbers: {error}") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise LandmarksUnreadable("not an array of numbers")
    _two_sided(values)
    return values


def read_row(path: Path) -> NDArray[Any]:
    """Return the numbers of the frame in an `.npy`."""
    try:
        values = np.load(path, allow_pickle=False)
    except _UNREADABLE as error:
        raise LandmarksUnreadable(f"{path.name}: not an array of numbers: {error}") from error
    if not isinstance(values, np.ndarray):
        values.close()
        raise LandmarksUnreadable(f"{path.name}: this is an .npz file; rename it to end in .npz")
    if values.size != max(values.shape, default=0) or values.dtype.kind not in "fiu":
        raise LandmarksUnreadable(f"{path.name}: expected one row of numbers, found shape {values.shape}")
    known_width(values.size, f"{path.name}: ")
    return np.asarray(values.reshape(-1))


def known_width(width: int, where: str = "") -> int:
    """Return `width`; raises LandmarksUnreadable if rows of landmarks have no such width."""
    if width not in (WHOLE, NO_FACE, HANDS):
        raise LandmarksUnreadable(
            f"{where}rows have {width} numbers; expected {WHOLE} (pose, hands and face), {NO_FACE} (without "
            f"the face) or {HANDS} (hands alone)"
        )
    return width


def read_people(path: Path) -> list[dict[str, Any]]:
    """Return the people of one frame of OpenPose."""
    document = read_json(path)
    people = document.get("people") if isinstance(document, dict) else None
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise LandmarksUnreadable(f"{path.name}: expected OpenPose's list `people`")
    return people


def read_instances(path: Path) -> dict[int, list[dict[str, Any]]]:
    """Return the people of every frame of COCO-WholeBody points, as MMPose or COCO writes them."""
    document, found = read_json(path), dict[int, list[dict[str, Any]]]()
    try:
        if isinstance(document, dict):
            for frame in document["instance_info"]:
                found.setdefault(int(frame["frame_id"]), []).extend(frame["instances"])
        else:
            for person in document:
                number = int(re.findall(r"\d+", str(person["image_id"]))[-1])
                found.setdefault(number, []).append(person)
        if not all(isinstance(person, dict) for people in found.values() for person in people):
            raise TypeError("a person is no object")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise LandmarksUnreadable(
            "expected MMPose's `instance_info` with frame_id and instances, or COCO's list with image_id and "
            f"keypoints: {type(error).__name__} {error}"
        ) from error
    return dict(sorted(found.items()))


def read_json(path: Path) -> Any:
    """Return the document in a file."""
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise LandmarksUnreadable(f"{path.name}: not JSON: {error}") from error


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, without the mark that some programs put in front."""
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise LandmarksUnreadable(f"{path.name} cannot be read: {error.strerror}") from error


def _two_sided(values: NDArray[Any]) -> tuple[int, int]:
    if values.ndim != 2 or not len(values):
        raise LandmarksUnreadable(f"expected rows of landmarks, found an array of shape {values.shape}")
    return len(values), known_width(values.shape[1])


def _csv_rows(path: Path) -> NDArray[np.float64]:
    """Return the numbers of a table; an empty cell is NaN, and a first line of names is left out."""
    with path.open(encoding="utf-8-sig") as file:
        names = _names(file.readline())
    return np.loadtxt(
        path, delimiter=",", skiprows=int(names), converters=_cell, ndmin=2, encoding="utf-8-sig"
    )


def _cell(text: str) -> float:
    return float(text) if text.strip() else float("nan")


def _names(line: str) -> bool:
    """Return whether the first line of a table names its columns."""
    try:
        [_cell(text) for text in line.split(",")]
    except ValueError:
        return True
    return False
