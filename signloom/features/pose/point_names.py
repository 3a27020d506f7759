"""The names of landmarks, as MediaPipe and the package pose-format have them, and landmarks by name."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.features.pose import layout

_SIDES = ("LEFT", "RIGHT")
POSE_NAMES = (
    *("NOSE", "LEFT_EYE_INNER", "LEFT_EYE", "LEFT_EYE_OUTER", "RIGHT_EYE_INNER", "RIGHT_EYE"),
    *("RIGHT_EYE_OUTER", "LEFT_EAR", "RIGHT_EAR", "MOUTH_LEFT", "MOUTH_RIGHT"),
    *(f"{side}_{joint}" for joint in ("SHOULDER", "ELBOW", "WRIST", "PINKY", "INDEX") for side in _SIDES),
    *(f"{side}_{joint}" for joint in ("THUMB", "HIP", "KNEE", "ANKLE", "HEEL") for side in _SIDES),
    *(f"{side}_FOOT_INDEX" for side in _SIDES),
)
HAND_NAMES = (
    *("WRIST", "THUMB_CMC", "THUMB_MCP", "THUMB_IP", "THUMB_TIP"),
    *(
        f"{finger}_{joint}"
        for finger in ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
        for joint in ("MCP", "PIP", "DIP", "TIP")
    ),
)
FACE_NAMES = tuple(map(str, range(layout.FACE_POINTS)))
POINT_NAMES = {"pose": POSE_NAMES, "left_hand": HAND_NAMES, "right_hand": HAND_NAMES, "face": FACE_NAMES}


def named_points(rows: NDArray[np.float32]) -> dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]:
    """Return names and values of each part of raw rows (n, 1662) or of features (n, 540).

    Values are (n, points, 4: x, y, z, visibility) of the pose, and (n, points, 3) of the other parts.
    """
    whole = rows.shape[1] == layout.RAW_DIM
    columns = layout.RAW_PARTS if whole else layout.FEATURE_PARTS
    names = POINT_NAMES if whole else POINT_NAMES | {"face": FACE_NAMES[:: layout.FACE_STEP]}
    return {
        part: (
            names[part],
            rows[:, columns[part]].astype(np.float64).reshape(len(rows), len(names[part]), -1),
        )
        for part in columns
    }


def long_table(
    clip_id: str, rows: NDArray[np.float32], frame_index: NDArray[np.int64], time_s: NDArray[np.float64]
) -> pd.DataFrame:
    """Return one row for each point of each frame where its part was found.

    Columns: `clip_id, frame_index, time_s, part, point, x, y, z, visibility` (of the pose only).
    """
    tables = []
    for part, (names, values) in named_points(rows).items():
        shown = np.flatnonzero(np.isfinite(values).all(axis=(1, 2)))
        columns: dict[str, Any] = {
            "clip_id": clip_id,
            "frame_index": np.repeat(frame_index[shown], len(names)),
            "time_s": np.repeat(time_s[shown], len(names)),
            "part": part,
            "point": np.tile(names, len(shown)),
        }
        flat = values[shown].reshape(len(shown) * len(names), -1).astype(np.float32)
        columns |= {axis: flat[:, place] for place, axis in enumerate("xyz")}
        unknown = np.full(len(flat), np.nan, np.float32)
        tables.append(pd.DataFrame(columns | {"visibility": flat[:, 3] if part == "pose" else unknown}))
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values("frame_index", kind="stable", ignore_index=True)
