"""Compare training batches from memory-mapped shards and from one file per clip, augmented and padded.

    OMP_NUM_THREADS=1 python -m benchmarks.training_data --clips 512

It prints clips per second both ways, measured in turns, and their ratio, without and with augmentation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import say_ratio
from signloom.augment.landmark_rows import augment, clip_generator
from signloom.features.shards import FeatureShards
from signloom.params.load import load_params
from signloom.params.sign2text import AugmentParams
from signloom.training.sentences.data import pad


class Files:
    """The plain way: one file for the features and one for the mask of every clip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def clip(self, clip_id: str) -> Any:
        """Return the features of a clip."""
        return np.load(self.folder / f"{clip_id}.npy")

    def mask(self, clip_id: str) -> Any:
        """Return the mask of a clip."""
        return np.load(self.folder / f"{clip_id}.mask.npy")


def write(folder: Path, clips: int, frames: int) -> tuple[list[str], FeatureShards, Files]:
    """Write the same clips as shards and as files."""
    rng = np.random.default_rng(0)
    ids = [f"{number:05d}" for number in range(clips)]
    features = rng.standard_normal((clips * frames, 540), dtype=np.float32)
    mask = np.ones((clips * frames, 4), np.uint8)
    np.save(folder / "all.npy", features)
    np.save(folder / "all.mask.npy", mask)
    offsets = np.arange(clips) * frames
    pd.DataFrame({"clip_id": ids, "offset": offsets, "length": frames}).to_parquet(folder / "all.parquet")
    for clip_id, start in zip(ids, offsets, strict=True):
        np.save(folder / f"{clip_id}.npy", features[start : start + frames])
        np.save(folder / f"{clip_id}.mask.npy", mask[start : start + frames])
    shards = FeatureShards([folder / "all.npy"], [folder / "all.parquet"], [folder / "all.mask.npy"])
    return ids, shards, Files(folder)


def seconds(source: Any, ids: list[str], batch: int, augmentation: AugmentParams | None) -> float:
    """Return the time to make all batches in a random order."""
    order = np.random.default_rng(1).permutation(len(ids))
    started = time.perf_counter()
    for start in range(0, len(ids), batch):
        views = []
        for number in order[start : start + batch]:
            view = source.clip(ids[number]), source.mask(ids[number])
            rng = clip_generator(0, 0, ids[number])
            views.append(augment(*view, augmentation, rng) if augmentation else view)
        pad(views)
    return time.perf_counter() - started


def main(argv: list[str] | None = None) -> int:
    """Time both ways and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        ids, shards, files = write(Path(folder), args.clips, args.frames)
        for name, augmentation in (("plain", None), ("augmented", load_params(Path("params.yaml")).augment)):
            rounds = [
                (
                    seconds(shards, ids, args.batch, augmentation),
                    seconds(files, ids, args.batch, augmentation),
                )
                for _ in range(args.rounds)
            ]
            mapped, single = (min(times) for times in zip(*rounds, strict=True))
            print(
                f"{name}: {args.clips / mapped:,.0f} clips/s from the map, {args.clips / single:,.0f} from "
                f"single files: {single / mapped:.1f} times faster"
            )
            say_ratio(f"{name} batches against one file a clip", single / mapped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
