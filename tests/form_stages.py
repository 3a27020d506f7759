"""A corpus in some form, read by the real stages sources, manifest and splits.

A corpus of a few rows could not be trained on, which stage manifest refuses. So others stand beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from demo_params import params_json

from workflow_scripts import manifest, sources, splits

OTHERS = "others/"


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
    add_others(out / "rows.parquet", videos)
    outputs = [f"manifest={out}/manifest.parquet", f"rejects={out}/rejects.csv"]
    outputs += [f"shards={out}/00.csv", f"metrics={out}/manifest.json"]
    assert manifest.main([*common, "--input", f"rows={out}/rows.parquet", "--output", *outputs]) == 0
    argv = [*common, "--input", f"metadata={out}/manifest.parquet"]
    assert splits.main([*argv, "--output", f"splits={out}/splits.csv", f"metrics={out}/splits.json"]) == 0
    split = pd.read_csv(out / "splits.csv", dtype=str)
    split = split[~split["clip_id"].str.startswith(OTHERS)]
    clips = pd.read_parquet(out / "manifest.parquet")
    return Read(
        clips[~clips["clip_id"].str.startswith(OTHERS)].reset_index(drop=True),
        pd.read_csv(out / "rejects.csv", dtype=str, keep_default_na=False),
        dict(zip(split["clip_id"], split["split"], strict=True)),
    )


def add_others(rows: Path, videos: Path) -> None:
    """Add clips of two sentences in all splits to the table of stage sources, with a picture for each."""
    table = pd.read_parquet(rows)
    more = []
    for number in range(12):
        folder = videos / OTHERS / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        picture = np.full((48, 64, 3), number, np.uint8)
        assert cv2.imwrite(str(folder / "1.png"), picture)
        row = dict.fromkeys(table.columns, "") | {"row": table["row"].iloc[0], "video": f"{OTHERS}{number}"}
        row |= {"sentence": f"Other {number % 2}.", "sentence_id": str(900_000_000 + number % 2)}
        more.append(
            row | {"signer_id": f"other{number % 4}", "split": ("train", "train", "val", "test")[number % 4]}
        )
    pd.concat([table, pd.DataFrame(more)], ignore_index=True).to_parquet(rows)
