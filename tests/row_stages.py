"""Stages from the table to the splits, and to the statistics and texts that a training on rows reads."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from demo_params import params_json, section

from signloom.params.dataset import DatasetParams
from workflow_scripts import (
    import_features,
    landmarks,
    manifest,
    metadata,
    pose_features,
    sources,
    splits,
    stats_pose,
    text,
)

GLOSSES = ("BOOK", "GIVE")
SPLITS = ("train", "train", "val", "test")


def write_rows(folder: Path, columns: int, suffix: str = ".npy", clips: int = 8) -> dict[str, Any]:
    """Write clips of two glosses with rows of so many columns, and the table; return section `dataset`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, names = np.random.default_rng(columns), []
    for number in range(clips):
        rows = rng.normal(number % 2, 0.3, (20 + number, columns)).astype(np.float32)
        name = f"{number}{suffix}"
        if suffix == ".npy":
            np.save(folder / name, rows)
        elif suffix == ".npz":
            np.savez_compressed(folder / name, rows)
        else:
            np.savetxt(folder / name, rows, delimiter="," if suffix == ".csv" else " ")
        names.append(name)
    return write_table(folder, names) | {"features": True}


def write_table(folder: Path, videos: list[str]) -> dict[str, Any]:
    """Write a table of `videos`, of which each pair has two gloss lines; return section `dataset`."""
    rows = [
        (name, f"{GLOSSES[number % 2]} {GLOSSES[0]}", f"s{number // 2}", SPLITS[number // 2 % 4])
        for number, name in enumerate(videos)
    ]
    table = pd.DataFrame(rows, columns=["video", "gloss", "signer_id", "split"])
    table.to_csv(folder / "table.csv", index=False)
    return {"table": str(folder / "table.csv"), "videos": str(folder), "variations": None}


def to_splits(out: Path, dataset: dict[str, Any], mode: str = "predefined") -> dict[str, list[Path]]:
    """Run every stage up to splits on feature rows, landmarks or videos.

    Returns what they wrote by the names that stages have for it.
    """
    paths = {name: out / name for name in ("rows", "manifest", "rejects", "splits", "metadata")}
    lists = [out / "0.csv", out / "1.csv"]
    out.mkdir(parents=True, exist_ok=True)
    run = partial(_run, _sections(dataset, mode), out)
    run(sources, {"table": dataset["table"]}, rows=paths["rows"])
    made = {name: paths[name] for name in ("manifest", "rejects")}
    run(manifest, {"rows": paths["rows"]}, **made, shards=lists, metrics=out / "manifest.json")
    shards: dict[str, list[Path]] = {"features": [], "mask": [], "index": []}
    for clips in lists:
        one = [clips.with_suffix(end) for end in (".npy", ".mask.npy", ".parquet")]
        given = {"npy": one[0], "mask": one[1], "parquet": one[2]}
        if section(DatasetParams, **dataset).holds_features:
            run(import_features, {"shard": clips}, **given)
        else:
            raw = {"npy": clips.with_suffix(".raw.npy"), "parquet": clips.with_suffix(".raw.parquet")}
            run(landmarks, {"shard": clips}, **raw)
            run(pose_features, raw, **given)
        for name, path in zip(shards, one, strict=True):
            shards[name].append(path)
    tables = {"parquet": paths["metadata"], "csv": out / "metadata.csv", "rejects": out / "all_rejects.csv"}
    run(metadata, made | {"features": shards["index"]}, **tables, metrics=out / "features.json")
    parts = {"splits": paths["splits"], "metrics": out / "splits.json"}
    run(splits, {"metadata": paths["metadata"]}, **parts)
    return shards | {name: [paths[name]] for name in ("splits", "metadata")}


def splits_in(found: dict[str, list[Path]]) -> dict[str, str]:
    """Return the split of each clip."""
    table = pd.read_csv(found["splits"][0], dtype=str)
    return dict(zip(table["clip_id"], table["split"], strict=True))


def prepare(out: Path, dataset: dict[str, Any]) -> dict[str, list[Path]]:
    """Run every stage before training; return its inputs by the names that stages have for them."""
    found = to_splits(out, dataset)
    run = partial(_run, _sections(dataset, "predefined"), out)
    shards = {name: found[name] for name in ("features", "mask", "index")}
    run(stats_pose, {"splits": found["splits"], **shards}, stats=out / "stats.npz")
    texts = {name: out / name for name in ("tokenizer", "glosses", "gloss_lines", "texts", "embeddings")}
    run(text, {name: found[name] for name in ("splits", "metadata")}, **texts)
    return found | {name: [path] for name, path in {**texts, "stats": out / "stats.npz"}.items()}


def _sections(dataset: dict[str, Any], mode: str) -> dict[str, Any]:
    return {
        "dataset": {"importer": "csv", "frame_rate": 25.0} | dataset,
        **{name: {} for name in ("manifest", "positions", "quality", "pose", "text")},
        "landmarks": {"max_fps": None},
        "shards": {"count": 2},
        "splits": {"mode": mode},
    }


def _run(sections: dict[str, Any], out: Path, stage: Any, inputs: dict[str, Any], **outputs: Any) -> None:
    argv = ["--input", *_named(inputs), "--output", *_named(outputs)]
    assert stage.main([*argv, "--params", params_json(sections), "--scratch", str(out / "scratch")]) == 0


def _named(files: dict[str, Any]) -> list[str]:
    several = {name: paths if isinstance(paths, list) else [paths] for name, paths in files.items()}
    return [f"{name}={path}" for name, paths in several.items() for path in paths]
