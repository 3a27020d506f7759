"""A made-up gloss corpus in the formats between stages: each gloss is a place that rows pass by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from demo_params import params_json

from signloom.text.vocabulary import build_vocabulary
from signloom.training.glosses.corpus import GlossClip
from signloom.training.glosses.data import Sample

GLOSSES = ["BOOK", "GIVE", "HOUSE", "IX-1P", "JOHN", "LIKE"]
NAMES = (
    "hybrid",
    "tcn",
    "train_gloss",
    "gloss_augment",
    "gloss_pose_augment",
    "gloss_recompose",
    "gloss_positions",
)
ROW_S = 0.08  # seconds from row to row
Inputs = dict[str, list[Path]]


@dataclass(frozen=True)
class Size:
    """How many clips of each split, how wide their rows are, and how long a gloss takes."""

    train: int = 24
    val: int = 8
    pose_dim: int = 12
    clip_dim: int = 10
    frames: tuple[int, int] = (4, 7)
    copies: int = 1
    seed: int = 0


def write_corpus(folder: Path, size: Size = Size()) -> Inputs:
    """Write all that any variant of train_gloss reads; return it as the stage's inputs."""
    rng = np.random.default_rng(size.seed)
    folder.mkdir(parents=True, exist_ok=True)
    places = {gloss: rng.normal(0, 1, (2, max(size.pose_dim, size.clip_dim))) for gloss in GLOSSES}
    pose, clip, copies, rows = {}, {}, {}, []
    for number in range(size.train + size.val):
        split = "train" if number < size.train else "val"
        # clips of a validation line are new performances of a training line
        line = lines(size)[number % size.train]
        name = f"{split}/{number:03d}"
        path = perform([places[gloss] for gloss in line], size, rng)
        pose[name] = path[0][:, : size.pose_dim]
        times = [[ROW_S * start, ROW_S * end] for start, end in path[2]]
        clip[name] = windows(path[1][:, : size.clip_dim])
        known = (" ".join(line), f"signer-{number % 3}", json.dumps(times))
        rows.append((name, split, number % size.train, 1, *known))
        for copy in range(1, size.copies + 1) if split == "train" else ():
            again = perform([places[gloss] for gloss in line], size, rng)[1][:, : size.clip_dim]
            copies[f"{name}#{copy}"] = windows(again)
    signed = ["gloss", "signer_id", "gloss_times"]
    table = pd.DataFrame(rows, columns=["clip_id", "split", "sentence_id", "seen", *signed])
    table.drop(columns=signed).to_csv(folder / "splits.csv", index=False)
    table[["clip_id", *signed]].to_csv(folder / "gloss_lines.csv", index=False)
    training = table[table["split"] == "train"]
    (folder / "glosses.json").write_text(json.dumps(build_vocabulary(training["gloss"])))
    _stats(folder / "pose_stats.npz", [pose[name] for name in training["clip_id"]])
    _stats(folder / "clip_stats.npz", [clip[name][0] for name in training["clip_id"]])
    inputs = {
        "splits": [folder / "splits.csv"],
        "gloss_lines": [folder / "gloss_lines.csv"],
        "glosses": [folder / "glosses.json"],
        "pose_stats": [folder / "pose_stats.npz"],
        "clip_stats": [folder / "clip_stats.npz"],
    }
    return (
        inputs
        | _pose_shard(folder, pose, rng)
        | _clips(folder, "clip", clip)
        | _clips(folder, "copies", copies)
    )


def lines(size: Size) -> list[list[str]]:
    """Return one line of 1 to 3 glosses a training clip; some repeat a gloss."""
    rng = np.random.default_rng(size.seed + 1)
    return [
        [GLOSSES[i] for i in rng.integers(0, len(GLOSSES), rng.integers(1, 4))] for _ in range(size.train)
    ]


def perform(
    places: list[np.ndarray], size: Size, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Return (T, dim) pose and clip rows that stay at each place, with a pause at 0 after each.

    The third are the rows from which to which each gloss is, end exclusive.
    """
    rows, times = [], []
    for place in places:
        start = len(rows)
        rows += [place] * int(rng.integers(*size.frames)) + [np.zeros_like(place)] * 2
        times.append((start, len(rows) - 2))
    path = np.stack(rows, 1) + rng.normal(0, 0.1, (2, len(rows), places[0].shape[1]))
    return path[0].astype(np.float32), path[1].astype(np.float32), times


def windows(rows: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """Return rows with the source frames, two each, that they stand for."""
    first = [2 * row for row in range(len(rows))]
    return rows, first, [frame + 1 for frame in first]


def _stats(path: Path, clips: list[np.ndarray]) -> None:
    every = np.concatenate(clips)
    std = np.sqrt(np.maximum(every.var(0), 1e-8)).astype(np.float32)
    np.savez(path, feature_mean=every.mean(0).astype(np.float32), feature_std=std)


def _pose_shard(folder: Path, clips: dict[str, np.ndarray], rng: np.random.Generator) -> Inputs:
    """Write pose rows of every second source frame; the hands are missing here and there."""
    lengths = [len(rows) for rows in clips.values()]
    values = np.concatenate(list(clips.values()))
    mask = np.ones((len(values), 4), np.uint8)
    gone = rng.random(len(values)) < 0.05
    mask[gone, 1], values[gone, :2] = 0, np.nan
    np.save(folder / "pose.npy", values)
    np.save(folder / "pose.mask.npy", mask)
    index = pd.DataFrame({"clip_id": list(clips), "offset": np.cumsum([0, *lengths])[:-1], "length": lengths})
    index["frame_index"] = [[2 * row for row in range(length)] for length in lengths]
    index["time_s"] = [[ROW_S * row for row in range(length)] for length in lengths]
    index.assign(status="ok", reason="").to_parquet(folder / "pose.parquet", index=False)
    return {
        "pose": [folder / "pose.npy"],
        "mask": [folder / "pose.mask.npy"],
        "pose_index": [folder / "pose.parquet"],
    }


def _clips(folder: Path, name: str, clips: dict[str, tuple[np.ndarray, list[int], list[int]]]) -> Inputs:
    lengths = [len(rows) for rows, _, _ in clips.values()]
    some = [rows for rows, _, _ in clips.values()] or [np.zeros((0, 10), np.float32)]
    np.save(folder / f"{name}.npy", np.concatenate(some))
    index = pd.DataFrame({"clip_id": list(clips), "offset": np.cumsum([0, *lengths])[:-1], "length": lengths})
    index["first_frame"] = [first for _, first, _ in clips.values()]
    index["time_s"] = [[ROW_S * row for row in range(length)] for length in lengths]
    index["last_frame"] = [last for _, _, last in clips.values()]
    index["frame_index"] = [[2 * row for row in range(length)] for length in lengths]
    index["fps"] = 2 / ROW_S
    about = {"backbone": "i3d", "weights": "random", "weights_sha256": "", "mode": "dense"}
    index.assign(status="ok", reason="", **about).to_parquet(folder / f"{name}.parquet", index=False)
    return {name: [folder / f"{name}.npy"], f"{name}_index": [folder / f"{name}.parquet"]}


def arguments(
    inputs: Inputs, out: Path, variant: str, scratch: Path, seed: int = 42, **params: dict
) -> list[str]:
    """Return the command line of train_gloss for a variant; it is given every input that it might read."""
    names = {"best": "best.pth", "latest": "latest.pth", "history": "history.csv", "metrics": "metrics.jsonl"}
    sections = {name: {} for name in NAMES}
    sections |= {"run": {"variant": variant, "seed": seed}} | params
    return [
        *("--input", *(f"{name}={path}" for name, paths in inputs.items() for path in paths)),
        *("--output", *(f"{name}={out / file}" for name, file in names.items())),
        *("--params", params_json(sections), "--scratch", str(scratch)),
    ]


def clip(name: str, *ids: int, feasible: bool = True) -> GlossClip:
    """Return a clip with the labels `ids`."""
    return GlossClip(name, "", ids, feasible, (name,))


def sample(length: int, made: GlossClip, other: GlossClip | None = None, share: float = 1.0) -> Sample:
    """Return an input of `length` rows, each filled with its length."""
    return Sample(np.full((length, 2), length, np.float32), made, other, share)
