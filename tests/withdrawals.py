"""A project with a build from which tests withdraw clips."""

from __future__ import annotations

import base64
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkouts import change_params
from row_project import CLIPS, write_project

from signloom.__main__ import main

TODAY = date(2030, 1, 15)
REVIEW = f"clip_id;action;note\n{CLIPS[0]};keep;\n"


def write_built_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a table of twelve clips by four signers, and a build of them as the stages write it."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    # as a European spreadsheet saves it
    (tmp_path / "review.csv").write_text(REVIEW + f'{CLIPS[3]};set_aside;"two people,\nin one video"\n')
    change_params(tmp_path, {"dataset": {"review": "review.csv"}})
    write_build(Path("build"))
    return tmp_path


def write_build(folder: Path) -> None:
    """The tables, shards, embeddings and page of a build, with the rows of the data."""
    rows = {clip: np.load(f"data/own/rows/{clip}.npy") for clip in CLIPS}
    for place in ("pose_features", "embeddings", "report", "logs"):
        (folder / place).mkdir(parents=True)
    table = pd.DataFrame({"clip_id": CLIPS, "video_hash": [hash_of(clip) for clip in CLIPS]})
    table.to_parquet(folder / "manifest.parquet")
    for shard, clips in (("00", CLIPS[:6]), ("01", CLIPS[6:])):
        np.save(folder / f"pose_features/{shard}.npy", np.concatenate([rows[clip] for clip in clips]))
        index = pd.DataFrame({"clip_id": clips, "offset": range(0, 240, 40), "length": 40})
        index.to_parquet(folder / f"pose_features/{shard}.parquet")
    np.save(folder / "embeddings/embeddings.npy", np.stack([row.mean(0) for row in rows.values()]))
    table[["clip_id"]].to_csv(folder / "embeddings/embeddings_map.csv", index=False)
    pictures = "".join(
        f'<img src="data:image/webp;base64,{picture_of(c)}" width="1" alt="Clip {c}.">' for c in CLIPS
    )
    (folder / "report/index.html").write_text(pictures)
    (folder / "logs/a.log").write_text(f"warning: {CLIPS[3]} is short\n")


def hash_of(clip: str) -> str:
    from signloom.files import file_sha256

    return file_sha256(Path(f"data/own/rows/{clip}.npy"))


def picture_of(clip: str) -> str:
    return base64.b64encode(np.random.default_rng(CLIPS.index(clip)).bytes(900)).decode()


def run(*words: str, code: int = 0) -> None:
    assert main(["withdraw", *words]) == code
