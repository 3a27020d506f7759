"""A made-up corpus whose glosses have times, with a trained network, for the stages that read both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import synthetic_gloss
from demo_params import params_json

from workflow_scripts import train_gloss

SMALL = {
    "train_gloss": {"width": 16, "epochs": 2, "batch_size": 8},
    "hybrid": {"layers": 1, "heads": 2, "feedforward": 16, "decoder_layers": 1, "lr": 0.003},
}
READS = ("splits", "glosses", "gloss_lines", "pose", "pose_index", "mask", "pose_stats", "checkpoint")
Inputs = dict[str, list[Path]]


def write_timed(folder: Path, test: Sequence[str]) -> Inputs:
    """Write a corpus and a network of two epochs; the clips `test` are those of the test.

    val/026 is signed by nobody, val/027 has no gloss, and val/028 no times.
    """
    inputs = synthetic_gloss.write_corpus(folder / "data", synthetic_gloss.Size(train=24, val=8))
    line = synthetic_gloss.arguments(inputs, folder, "hybrid_pose", folder / "scratch", **SMALL)
    assert train_gloss.main(line) == 0
    splits = pd.read_csv(folder / "data/splits.csv")
    splits.loc[splits["clip_id"].isin(test), "split"] = "test"
    splits.loc[splits["clip_id"] == "val/026", "sentence_id"] = -1
    splits.to_csv(folder / "data/splits.csv", index=False)
    lines = pd.read_csv(folder / "data/gloss_lines.csv")
    lines.loc[lines["clip_id"] == "val/027", ["gloss", "gloss_times"]] = ""
    lines.loc[lines["clip_id"] == "val/028", "gloss_times"] = ""
    lines.to_csv(folder / "data/gloss_lines.csv", index=False)
    inputs["checkpoint"] = [folder / "best.pth"]
    return inputs


def run_stage(stage: object, corpus: Inputs, table: Path, metrics: Path, **sections: dict) -> int:
    """Run a stage whose outputs are a table, named as its file, and metrics; return its exit code."""
    given = {"run": {"variant": "hybrid_pose", "seed": 42}, "evaluation": {"bootstrap": 200, "seed": 1}}
    params = json.loads(params_json(given)) | {"decode_gloss": {"batch_size": 4}} | sections
    table.parent.mkdir(parents=True, exist_ok=True)
    return stage.main(  # type: ignore[attr-defined, no-any-return]
        [
            *("--input", *(f"{name}={path}" for name in READS for path in corpus[name])),
            *("--output", f"{table.stem}={table}", f"metrics={metrics}"),
            *("--params", json.dumps(params)),
        ]
    )
