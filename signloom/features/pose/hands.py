"""Which hand signs: the one that moves more; a mirrored video shows the other one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.features.pose.layout import POSE_POINTS, RAW_PARTS, WRISTS
from signloom.features.pose.motion import VISIBLE, shoulder_width

# one wrist goes one and a half times as far as the other; no clip of the demo's signers exceeds 0.18 on the
# wrong side, while three clips in five exceed 0.2 on the right one
CLEAR = 0.2
_OTHERS = 3


def hand_share(rows: NDArray[Any], width: int, height: int) -> float:
    """Return how much more the right wrist moves than the left: 1 for the right one alone, -1 for the left.

    `rows` are raw landmarks (n, 1662) of frames of one clip in their order, of pictures of that size; left
    and right are the person's own. A wrist moves only between frames that both show it. NaN if neither goes
    further than the shoulders are wide: a tracker's points tremble.
    """
    pose = rows[:, RAW_PARTS["pose"]].reshape(-1, POSE_POINTS, 4).astype(np.float64)
    pose[..., :2] *= (width, height)
    left, right = (_path(pose[:, WRISTS[side]]) for side in ("left_hand", "right_hand"))
    moves = max(left, right) > shoulder_width(pose)
    return (right - left) / (right + left) if moves else float("nan")


def _path(wrist: NDArray[np.float64]) -> float:
    """Return how many pixels a wrist (n, 4) goes."""
    places = np.where(wrist[:, 3:] >= VISIBLE, wrist[:, :2], np.nan)
    return float(np.nansum(np.linalg.norm(np.diff(places, axis=0), axis=1)))


def other_handed(clips: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield the clip and the hand, left or right, of clips that their signer signs with the other hand.

    `clips` has the columns `clip_id, signer_id, share`, the share as `hand_share` returns it. A clip counts
    if it and the median of at least three other clips of the signer are clear. Clips without a signer are
    left out.
    """
    named = clips[(clips["signer_id"].str.strip() != "") & clips["share"].notna()]
    for _, own in named.groupby("signer_id"):
        shares = own["share"].to_numpy()
        for number, (clip_id, share) in enumerate(zip(own["clip_id"], shares, strict=True)):
            others = np.delete(shares, number)
            if len(others) < _OTHERS or abs(share) < CLEAR:
                continue
            if np.sign(share) * np.median(others) <= -CLEAR:
                yield clip_id, "right" if share > 0 else "left"


def left_handed(clips: pd.DataFrame) -> list[str]:
    """Return the signers whose clips clearly show the left hand signing, of those with at least four clips.

    `clips` is as for `other_handed`. They are left-handed, or all their videos are mirrored.
    """
    named = clips[(clips["signer_id"].str.strip() != "") & clips["share"].notna()]
    shares = named.groupby("signer_id")["share"].agg(["size", "median"])
    return [str(name) for name in shares.index[(shares["size"] > _OTHERS) & (shares["median"] <= -CLEAR)]]
