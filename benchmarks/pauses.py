"""Measure how long people stand still while they sign, which SignStream must not mistake for a pause.

    python -m benchmarks.pauses --landmarks build/landmarks

For every kept clip it measures the longest time that the stream's motion stays below the floor, and below the
share of the floor that closes a passage. `PAUSE_S` must be longer than these times of signed clips.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.features.pose.raw_clip import RawClip
from signloom.features.shards import FeatureShards
from signloom.files import read_csv
from signloom.inference.passages import PAUSE_S, SMOOTH_S, STILL, recent_motion
from signloom.params.load import load_params


def longest_rest(times: NDArray[np.float64], moves: NDArray[np.bool_]) -> float:
    """Return the longest time in seconds between two frames with motion, NaN if there are none."""
    moved = times[moves]
    return float(np.diff(moved).max(initial=0.0)) if len(moved) else float("nan")


def main() -> None:
    """Measure and print the quantiles of signed and of unsigned clips."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--landmarks", type=Path, required=True)
    parser.add_argument("--metadata", type=Path, default=Path("build/processed_metadata.csv"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = load_params(args.params)
    shards = FeatureShards(sorted(args.landmarks.glob("*.npy")), sorted(args.landmarks.glob("*.parquet")))
    signed = read_csv(args.metadata).set_index("clip_id")["sentence_id"] >= 0
    floor = params.quality.motion_floor
    rests = []
    for clip in shards.index.to_dict("records"):
        if clip["clip_id"] not in signed.index:
            continue
        rows, times = shards.clip(clip["clip_id"]), np.asarray(clip["time_s"], np.float64)
        starts = np.searchsorted(times, times - SMOOTH_S)
        parts = [slice(start, end) for end, start in enumerate(starts, 1)]
        motion = np.array(
            [
                recent_motion(
                    RawClip(
                        rows[part], times[part], np.arange(len(rows[part])), clip["width"], clip["height"]
                    ),
                    params.pose,
                    params.quality,
                )
                for part in parts
            ]
        )
        kind = "signed" if signed[clip["clip_id"]] else "unsigned"
        rests.append((kind, *(longest_rest(times, motion >= share * floor) for share in (1.0, STILL))))
    table = pd.DataFrame(rests, columns=["clips", "under the floor", f"under {STILL:g} of it"])
    print(f"longest rest inside a clip, s; a pause is {PAUSE_S:g} s")
    print(table.groupby("clips").agg(["count", "median", "max"]).round(2).to_string())


if __name__ == "__main__":
    main()
