"""A project of a few demo clips with very small networks, which a processor builds in minutes.

    python -m tools.small_project FOLDER

Both families run on it, so tests and tools that break builds in many ways can use it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from signloom.files import read_csv
from signloom.params.load import overlay, read_yaml

ROOT = Path(__file__).parent.parent
# what a build reads besides parameters and data
CODE = (
    *("Snakefile", "rules", "workflow_scripts", "signloom", "engines", "config", "profiles"),
    *("environment.yml", ".dvcignore", "LICENSE"),
)
SMALL: dict[str, Any] = {
    "shards": {"count": 2},
    "manifest": {"max_reject_ratio": 0.5},
    "evaluation": {"bootstrap": 100},
    "sign2text": {
        "width": 32,
        "layers": 1,
        "heads": 2,
        "feedforward": 32,
        "decoder_layers": 1,
        "embedding_dim": 16,
        "epochs": 2,
        "batch_size": 4,
        "workers": 0,
        "threads": 1,
    },
    # fp32 is no processor's worst precision: where bf16 is emulated it takes forty times as long
    "clip_features": {"resize": 32, "crop": 32, "precision": "fp32"},
    "hybrid": {"layers": 1, "heads": 2, "feedforward": 32, "decoder_layers": 1},
    "train_gloss": {"width": 32, "epochs": 2, "batch_size": 4},
}


def make_small(folder: Path, root: Path = ROOT) -> None:
    """Copy code, parameters, and a few clips of every split of the project at `root` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        (shutil.copytree if (root / name).is_dir() else shutil.copy)(root / name, folder / name)
    params = overlay(read_yaml(root / "params.yaml"), SMALL)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    clips = choose(read_csv(root / "data/demo/clips.csv", keep_default_na=False))
    clips["split"] = clips["split"].replace("", "train")
    (folder / "data/demo").mkdir(parents=True)
    clips.to_csv(folder / "data/demo/clips.csv", index=False)
    for video in clips["video"]:
        (folder / "data/demo/videos" / video).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "data/demo/videos" / video, folder / "data/demo/videos" / video)
    shutil.copy(root / "data/demo/sentence_variations.json", folder / "data/demo")


def environment(folder: Path) -> dict[str, str]:
    """Return the variables with which the engines run the code in `folder`, with one thread a library."""
    return {**os.environ, "PYTHONPATH": str(folder.resolve()), "OMP_NUM_THREADS": "1"}


def choose(clips: pd.DataFrame) -> pd.DataFrame:
    """Return a few clips of every split, one unsigned and one bad."""
    signed = clips[(clips["sentence_id"] >= 0) & (clips["category"] != "bad")]
    train = signed[signed["split"] == "train"]
    twice = train["sentence_id"].value_counts().loc[lambda n: n >= 2].index.sort_values()[:3]
    some = [train[train["sentence_id"] == number].head(2) for number in twice]
    for split in ("val", "test"):
        part = signed[signed["split"] == split]
        some += [
            part[part["sentence_id"].isin(twice)].head(1),
            part[~part["sentence_id"].isin(train["sentence_id"])].head(1),
        ]
    some.append(clips[clips["sentence_id"] < 0].head(1))
    some.append(clips[clips["video"].str.contains("unreadable")])
    return pd.concat(some).drop_duplicates("video")


def commit_all(folder: Path) -> None:
    """Make `folder` a git repository with one commit, which checkpoints record."""
    identity = ("-c", "user.name=small", "-c", "user.email=small@localhost")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "small project")):
        subprocess.run(["git", *words], cwd=folder, check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make_small(Path(sys.argv[1]))
    commit_all(Path(sys.argv[1]))
