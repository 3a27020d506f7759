"""A corpus in some form, read by the real stages sources, manifest and splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from demo_params import params_json

from workflow_scripts import manifest, sources, splits


class Read(NamedTuple):
    """What the stages made of a corpus."""

    clips: pd.DataFrame
    rejects: pd.DataFrame
    splits: dict[str, str]


def read_corpus(
    folder: Path, importer: str, table: Path, videos: Path, mode: str = "predefined", **dataset: Any
) -> Read:
    """Run the three stages; `splits` maps each clip to its split. Fails if a stage fails."""
    out = folder / "stages"
    given = {
        "importer": importer,
        "table": str(table),
        "videos": str(videos),
        "variations": None,
        **dataset,
    }
    sections = {
        "dataset": given,
        "manifest": {"max_reject_ratio": 0.9},
        "shards": {"count": 1},
        "splits": {"mode": mode},
    }
    common = ["--params", params_json(sections), "--scratch", str(out / "scratch")]
    assert sources.main([*common, "--input", f"table={table}", "--output", f"rows={out}/rows.parquet"]) == 0
    outputs = [f"manifest={out}/manifest.parquet", f"rejects={out}/rejects.csv"]
    outputs += [f"shards={out}/00.csv", f"metrics={out}/manifest.json"]
    assert manifest.main([*common, "--input", f"rows={out}/rows.parquet", "--output", *outputs]) == 0
    argv = [*common, "--input", f"metadata={out}/manifest.parquet"]
    assert splits.main([*argv, "--output", f"splits={out}/splits.csv", f"metrics={out}/splits.json"]) == 0
    split = pd.read_csv(out / "splits.csv", dtype=str)
    return Read(
        pd.read_parquet(out / "manifest.parquet"),
        pd.read_csv(out / "rejects.csv", dtype=str, keep_default_na=False),
        dict(zip(split["clip_id"], split["split"], strict=True)),
    )
