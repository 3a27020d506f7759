"""Measure how often MediaPipe Holistic finds the pose and the signing hand in every clip."""

from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from demo_corpus.signers import BY_ID
from signloom.files import read_csv, write_csv
from signloom.progress import track

PARTS = ("pose", "left_hand", "right_hand", "face")

Task = tuple[Path, str, str, str, tuple[float, float] | None]


@lru_cache(maxsize=1)
def _tracker() -> Any:
    import cv2
    from mediapipe.python.solutions.holistic import Holistic

    cv2.setNumThreads(1)
    return Holistic(
        static_image_mode=False, model_complexity=1, min_detection_confidence=0.5, min_tracking_confidence=0.5
    )


def presence(path: Path) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return whether pose, left hand, right hand and face are found ``(frames, 4)``; empty if undecodable."""
    import av

    tracker = _tracker()
    tracker.reset()
    rows = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                found = tracker.process(frame.to_ndarray(format="rgb24"))
                rows.append([getattr(found, f"{part}_landmarks") is not None for part in PARTS])
    except (av.error.FFmpegError, OSError):
        pass
    return np.array(rows, bool).reshape(-1, len(PARTS))


def examine(
    videos: Path, clip_id: str, signer_id: str, kind: str, span: tuple[float, float] | None
) -> dict[str, Any]:
    """Return a row of ``detection.csv``; ``span`` is from the first to the last sign, in seconds."""
    found = presence(videos / f"{clip_id}.mp4")
    signer = BY_ID[signer_id]
    times = np.arange(len(found)) / signer.fps
    signing = (times >= span[0]) & (times <= span[1]) if span else np.zeros(len(found), bool)
    hand = found[:, 1] if signer.left_handed else found[:, 2]
    other = found[:, 2] if signer.left_handed else found[:, 1]
    return {
        "scope": "clip",
        "clip_id": clip_id,
        "signer_id": signer_id,
        "kind": kind,
        "frames": len(found),
        "pose_frames": int(found[:, 0].sum()),
        "pose_or_hand_frames": int(found[:, :3].any(1).sum()),
        "signing_frames": int(signing.sum()),
        "signing_hand_frames": int((hand & signing).sum()),
        "other_hand_frames": int((other & signing).sum()),
        "face_frames": int(found[:, 3].sum()),
    }


def check(output: Path, jobs: int) -> pd.DataFrame:
    """Run MediaPipe on all clips and write ``detection.csv``: a row per clip, per signer, and for all."""
    tasks = _tasks(output)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = as_completed([pool.submit(examine, *task) for task in tasks])
        rows = [finished.result() for finished in track(running, "detect", total=len(tasks))]
    result = summarise(pd.DataFrame(rows))
    write_csv(output / "detection.csv", result)
    return result


def _tasks(output: Path) -> list[Task]:
    """Return the arguments of ``examine`` for every clip."""
    table = read_csv(output / "clips.csv", keep_default_na=False)
    times = read_csv(output / "truth" / "gloss_times.csv")
    starts, ends = times.groupby("clip_id")["start_s"].min(), times.groupby("clip_id")["end_s"].max()
    tasks: list[Task] = []
    for row in table.itertuples():
        clip_id = str(row.video).removesuffix(".mp4")
        kind = row.category if row.category in ("unsigned", "bad") else "signed"
        span = (float(starts[clip_id]), float(ends[clip_id])) if clip_id in starts.index else None
        tasks.append((output / "videos", clip_id, row.signer_id, kind, span))
    return tasks


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Add rates, and rows for every signer and for all; bad clips are left out of these sums."""
    rows = rows.sort_values("clip_id")
    good = rows[rows["kind"] != "bad"]
    counts = [c for c in rows.columns if c.endswith("frames")]
    extra = []
    for signer, group in [*good.groupby("signer_id"), ("", good)]:
        total = {c: int(group[c].sum()) for c in counts}
        extra.append(
            {"scope": "signer" if signer else "all", "clip_id": "", "signer_id": signer, "kind": "", **total}
        )
    table = pd.concat([rows, pd.DataFrame(extra)], ignore_index=True)
    for name, part, whole in (
        ("pose_rate", "pose_frames", "frames"),
        ("face_rate", "face_frames", "frames"),
        ("signing_hand_rate", "signing_hand_frames", "signing_frames"),
        ("other_hand_rate", "other_hand_frames", "signing_frames"),
    ):
        table[name] = (table[part] / table[whole].where(table[whole] > 0)).round(4)
    return table
