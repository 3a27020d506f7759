"""Compare batches from memory-mapped shards with PyTorch's collation of one .npy file per clip.

    python -m benchmarks.shards

Clips have 128 frames and are read in random order by one process with a warm page cache. The plain side works
as a PyTorch loader of files: it loads every clip of the batch and calls `default_collate`. Clips of shards
are gathered into one array.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import default_collate

from benchmarks import say_ratio
from signloom.features.shards import FeatureShards, append_npy
from signloom.processors import usable_cores

DIM = 540


def write_clips(folder: Path, clips: int, frames: int, shards: int) -> tuple[FeatureShards, dict[str, Path]]:
    """Write `clips` clips of noise as `shards` shards and as one file each; return readers of both."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(frames + 64, DIM)).astype(np.float32)
    files: dict[str, Path] = {}
    (folder / "clips").mkdir()
    for shard in range(shards):
        rows = []
        with append_npy(folder / f"{shard}.npy", DIM, np.float32) as array:
            for number in range(shard, clips, shards):
                clip_id = f"clip{number}"
                clip = noise[number % 64 :][:frames] + np.float32(number)
                rows.append({"clip_id": clip_id, "offset": array.rows, "length": frames})
                array.append(clip)
                files[clip_id] = folder / "clips" / f"{clip_id}.npy"
                np.save(files[clip_id], clip)
        pd.DataFrame(rows).to_parquet(folder / f"{shard}.parquet")
    return FeatureShards(
        [folder / f"{shard}.npy" for shard in range(shards)],
        [folder / f"{shard}.parquet" for shard in range(shards)],
    ), files


def gather(shards: FeatureShards, ids: list[str], frames: int) -> torch.Tensor:
    """Return the clips `ids` as one batch (n, frames, 540), copied once."""
    out = np.empty((len(ids), frames, DIM), np.float32)
    for row, clip_id in enumerate(ids):
        out[row] = shards.clip(clip_id)
    return torch.from_numpy(out)


def collate(files: dict[str, Path], ids: list[str]) -> torch.Tensor:
    """Return the same batch from one file per clip."""
    batch: torch.Tensor = default_collate([np.load(files[clip_id]) for clip_id in ids])
    return batch


def epoch(load: Callable[[list[str]], torch.Tensor], order: list[str], batch: int) -> float:
    """Return the seconds to load all clips of `order` in batches."""
    started = time.perf_counter()
    for start in range(0, len(order), batch):
        load(order[start : start + batch])
    return time.perf_counter() - started


def main() -> None:
    """Measure; print a row of a Markdown table and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        shards, files = write_clips(Path(name), args.clips, args.frames, args.shards)
        rng = np.random.default_rng(1)
        ids = sorted(files)
        for clip_id in ids:
            assert np.array_equal(shards.clip(clip_id), np.load(files[clip_id]))
        torch.set_num_threads(1)
        mapped, plain = [], []
        for _ in range(args.repeats):
            order = [ids[i] for i in rng.permutation(len(ids))]
            mapped.append(epoch(lambda batch: gather(shards, batch, args.frames), order, args.batch))
            plain.append(epoch(lambda batch: collate(files, batch), order, args.batch))
    ours, theirs = args.clips / min(mapped), args.clips / min(plain)
    cores = usable_cores()
    print(f"{args.clips} clips of {args.frames} frames, batch {args.batch}, best of {args.repeats} epochs")
    print(
        f"| feature loading | {cores} cores, 1 process | {ours:.0f} clips/s mapped | "
        f"{theirs:.0f} clips/s one .npy a clip | {ours / theirs:.1f}x |"
    )
    say_ratio("the bare gather against one file a clip", ours / theirs)


if __name__ == "__main__":
    main()
