"""Stages on given feature rows, from the table to the statistics and texts that a training reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from demo_params import params_json

from workflow_scripts import import_features, manifest, metadata, sources, splits, stats_pose, text

GLOSSES = ("BOOK", "GIVE")


def write_rows(folder: Path, columns: int, suffix: str = ".npy", clips: int = 8) -> dict[str, Any]:
    """Write clips of two glosses with rows of so many columns, and the table; return section `dataset`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, lines = np.random.default_rng(columns), []
    for number in range(clips):
        rows = rng.normal(number % 2, 0.3, (20 + number, columns)).astype(np.float32)
        name = f"{number}{suffix}"
        if suffix == ".npy":
            np.save(folder / name, rows)
        elif suffix == ".npz":
            np.savez_compressed(folder / name, rows)
        else:
            np.savetxt(folder / name, rows, delimiter="," if suffix == ".csv" else " ")
        split = ("train", "train", "val", "test")[number // 2 % 4]
        lines.append((name, f"{GLOSSES[number % 2]} {GLOSSES[0]}", f"s{number // 2}", split))
    table = pd.DataFrame(lines, columns=["video", "gloss", "signer_id", "split"])
    table.to_csv(folder / "table.csv", index=False)
    return {"table": str(folder / "table.csv"), "videos": str(folder), "features": True, "variations": None}


def prepare(out: Path, dataset: dict[str, Any]) -> dict[str, list[Path]]:
    """Run every stage before training; return its inputs by the names that stages have for them."""
    sections = {
        "dataset": {"importer": "csv", "frame_rate": 25.0} | dataset,
        **{name: {} for name in ("manifest", "positions", "quality", "pose", "text")},
        "shards": {"count": 2},
        "splits": {"mode": "predefined"},
    }
    out.mkdir(parents=True, exist_ok=True)
    common = ["--params", params_json(sections), "--scratch", str(out / "scratch")]
    paths = {name: out / name for name in ("rows", "manifest", "rejects", "splits", "metadata", "stats")}
    lists = [out / "0.csv", out / "1.csv"]

    def run(stage: Any, inputs: dict[str, Any], **outputs: Any) -> None:
        argv = ["--input", *_named(inputs), "--output", *_named(outputs), *common]
        assert stage.main(argv) == 0

    run(sources, {"table": dataset["table"]}, rows=paths["rows"])
    made = {name: paths[name] for name in ("manifest", "rejects")}
    run(manifest, {"rows": paths["rows"]}, **made, shards=lists, metrics=out / "manifest.json")
    shards: dict[str, list[Path]] = {"features": [], "mask": [], "index": []}
    for clips in lists:
        one = [clips.with_suffix(end) for end in (".npy", ".mask.npy", ".parquet")]
        run(import_features, {"shard": clips}, npy=one[0], mask=one[1], parquet=one[2])
        for name, path in zip(shards, one, strict=True):
            shards[name].append(path)
    tables = {"parquet": paths["metadata"], "csv": out / "metadata.csv", "rejects": out / "all_rejects.csv"}
    run(metadata, made | {"features": shards["index"]}, **tables, metrics=out / "features.json")
    parts = {"splits": paths["splits"], "metrics": out / "splits.json"}
    run(splits, {"metadata": paths["metadata"]}, **parts)
    run(stats_pose, {"splits": paths["splits"], **shards}, stats=out / "stats.npz")
    words = {"splits": paths["splits"], "metadata": paths["metadata"]}
    texts = {name: out / name for name in ("tokenizer", "glosses", "gloss_lines", "texts", "embeddings")}
    run(text, words, **texts)
    found = {**words, **texts, "stats": out / "stats.npz"}
    return shards | {name: [path] for name, path in found.items()}


def _named(files: dict[str, Any]) -> list[str]:
    several = {name: paths if isinstance(paths, list) else [paths] for name, paths in files.items()}
    return [f"{name}={path}" for name, paths in several.items() for path in paths]
