"""Rows of landmarks in a named order, in a file or in one `.npy` for each frame, as raw landmarks.

x and y are shares of the picture. A part that is 0 or NaN throughout a row is missing there.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signloom.dataset.landmark_openers import (
    HANDS,
    NO_FACE,
    WHOLE,
    LandmarksUnreadable,
    numbered,
    read_row,
    read_table,
    span,
)
from signloom.dataset.landmark_sources import Settings
from signloom.features.pose import layout
from signloom.features.pose.raw_clip import RawClip, clip_of, frames_between

Array = NDArray[np.float64]

_ORDERS: dict[tuple[int, str | None], tuple[str, ...]] = {
    (WHOLE, "signloom"): layout.PARTS,
    (WHOLE, "mp_data"): ("pose", "face", "left_hand", "right_hand"),
}
_SHORT_ORDERS = {NO_FACE: layout.PARTS[:3], HANDS: layout.PARTS[1:3]}
_MOST_SHARE = 2.0  # half of a body further out than this is not in the picture: such numbers are pixels
# the body that stands in for one that rows of hands alone lack, in heights of the picture from its middle
_STAND_IN = dict(
    zip(
        (*layout.SHOULDERS, *layout.HIPS),
        ((0.13, -0.2), (-0.13, -0.2), (0.08, 0.2), (-0.08, 0.2)),
        strict=True,
    )
)


def read_rows(
    path: Path, settings: Settings, start_s: float | None, end_s: float | None
) -> tuple[RawClip, float]:
    """Read rows of a file, or of a folder of frames, from `start_s` to `end_s`, and the frames a second.

    Frames whose number has no file are missing rows. Raises SignloomError if a parameter is null that the
    rows need, LandmarksUnreadable if they cannot be read and VideoUnreadable without a frame in that time.
    """
    table = None if path.is_dir() else read_table(path)
    files = numbered(path) if table is None else {}
    count = len(span(list(files))) if table is None else len(table)
    settings.check("frames" if table is None else "rows", path)
    fps, picture = settings.frame_rate or 0.0, settings.picture or ()
    numbers = frames_between(count, fps, start_s, end_s)
    values = (
        _frames(path, files, numbers) if table is None else np.asarray(table[numbers.start : numbers.stop])
    )
    settings.check("rows", path, values.shape[1])
    rows = raw_rows(values.astype(np.float64), settings.order, picture[1] / picture[0])
    return clip_of(rows, numbers, fps, start_s, (picture[0], picture[1])), fps


def raw_rows(values: Array, order: str | None, tall: float) -> NDArray[np.float32]:
    """Return raw rows (n, 1662) of `values` (n, 1662, 258 or 126) in `order`; missing parts are NaN.

    `tall` is the picture's height over its width. Hands alone get a body that stands still in the middle of
    the picture. Raises LandmarksUnreadable for a part that is there and has a value that is not finite.
    """
    width = values.shape[1]
    rows = np.full((len(values), layout.RAW_DIM), np.nan)
    start = 0
    for part in _SHORT_ORDERS.get(width) or _ORDERS[width, order]:
        columns = layout.RAW_PARTS[part]
        found = values[:, start : start + columns.stop - columns.start]
        start += found.shape[1]
        missing = (found == 0).all(axis=1) | np.isnan(found).all(axis=1)
        broken = np.flatnonzero(~missing & ~np.isfinite(found).all(axis=1))
        if len(broken):
            raise LandmarksUnreadable(
                f"row {broken[0]}: {part.replace('_', ' ')} has a value that is no finite number; "
                "a part that is missing is 0 or NaN throughout"
            )
        _need_shares(part, found[~missing])
        rows[~missing, columns] = found[~missing]
    if width == HANDS:
        shown = np.isfinite(rows).any(axis=1)
        rows[shown, layout.RAW_PARTS["pose"]] = _standing(tall).reshape(-1)
    return rows.astype(np.float32)


def _need_shares(part: str, found: Array) -> None:
    """Raise LandmarksUnreadable if most x and y of a part, rows that are there, can only be pixels."""
    if not len(found):
        return
    places = found.reshape(len(found), -1, 4 if part == "pose" else 3)[..., :2]
    if float(np.median(np.abs(places))) > _MOST_SHARE:
        raise LandmarksUnreadable(
            f"{part.replace('_', ' ')}: x and y are shares of the picture, and half of them are above "
            f"{_MOST_SHARE:g}; divide pixels by its width and height"
        )


def _standing(tall: float) -> Array:
    """Return the pose (33, 4) that stands in for the body; nothing of it counts as visible."""
    pose = np.tile([0.5, 0.5, 0.0, 0.0], (layout.POSE_POINTS, 1))
    for point, (x, y) in _STAND_IN.items():
        pose[point, :2] += x * tall, y
    return pose


def _frames(folder: Path, files: dict[int, Path], numbers: range) -> Array:
    """Return the row of every frame in `numbers`, counted from the first file; NaN where there is no file."""
    first = min(files)
    found = {place: read_row(files[first + place]) for place in numbers if first + place in files}
    if not found:
        raise LandmarksUnreadable("no frame between its start and its end has a file")
    widths = {len(row): place for place, row in found.items()}
    if len(widths) > 1:
        names = " and ".join(f"{files[first + place].name} has {width}" for width, place in widths.items())
        raise LandmarksUnreadable(f"frames have rows of several widths: {names}")
    rows = np.full((len(numbers), *widths), np.nan)
    for place, row in found.items():
        rows[place - numbers.start] = row
    if len(found) < len(numbers):
        lost = len(numbers) - len(found)
        print(
            f"landmarks: {folder}: {lost} of {len(numbers)} frames have no file; they stay missing",
            file=sys.stderr,
        )
    return rows
