"""A shard's products are taken for current only if they were made from the list that is there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from checkouts import change_params, run, start_engines
from row_project import write_project
from snakemake.io import is_flagged

from engines.origins import Origins, Scattered
from engines.pipeline import Pipeline
from signloom.params.load import read_yaml
from workflow_scripts.job import entry_point


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scattered:
    """The stage that imports the rows of twelve clips in two shards."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Origins(Pipeline.load(read_yaml(Path("params.yaml")))).scattered(
        "import_features", "quality", folder="pose_features"
    )


def is_current(rows: Scattered) -> bool:
    return bool(is_flagged(rows.shard_list(SimpleNamespace(shard="00")), "ancient"))


def make(rows: Scattered) -> None:
    """Run a job that does nothing but sign its outputs, as every stage does."""
    given = rows.given(SimpleNamespace(shard="00"))
    files = ["--input", "shard=build/shards/00.csv", "--output", "origin=build/pose_features/00.origin"]
    assert entry_point(lambda job: None)([*files, "--params", given]) == 0


def test_a_shard_is_made_again_if_the_manifest_took_other_clips_of_the_same_content(rows: Scattered) -> None:
    Path("build/shards").mkdir(parents=True)
    shard = Path("build/shards/00.csv")
    shard.write_text("clip_id\ns0/take-0\n")
    assert not is_current(rows)
    make(rows)
    assert is_current(rows)
    shard.write_text("clip_id\ns0/take-0\ns0/take-1\n")  # whose file could not be read before
    assert not is_current(rows)
    make(rows)
    assert is_current(rows)
    shard.unlink()  # it will be written anew
    assert is_current(rows)


def test_a_job_that_failed_after_it_had_written_is_tried_again(tmp_path: Path) -> None:
    write_project(tmp_path)
    manifest, table = tmp_path / "build/manifest.parquet", tmp_path / "data/own/clips.csv"
    build = ("snakemake", "--cores", "1", "--", "build/manifest.parquet")
    run(tmp_path, *build)
    table.write_bytes(table.read_bytes().replace(b"take-7.npy", b"gone.npy"))
    os.utime(table, (4e9, 4e9))  # of a clock that was ahead, at which Snakemake fails the job that reads it
    assert "Removing output files of failed job sources" in run(tmp_path, *build, ok=False)
    os.utime(table)
    assert len(pd.read_parquet(manifest)) == 12
    run(tmp_path, *build)
    assert len(pd.read_parquet(manifest)) == 11


@pytest.mark.long
def test_a_changed_parameter_of_what_dvc_put_back_is_seen(tmp_path: Path) -> None:
    write_project(tmp_path)
    start_engines(tmp_path)
    run(tmp_path, "dvc", "repro", "splits")
    for gone in ("build", ".snakemake"):  # as `make clean` does
        shutil.rmtree(tmp_path / gone)
    assert "is cached" in run(tmp_path, "dvc", "repro", "splits")
    plan = ("snakemake", "-n", "--cores", "1", "--quiet", "rules", "reason", "--", "build/splits.csv")
    assert "Nothing to be done" in run(tmp_path, *plan)
    change_params(tmp_path, {"splits": {"seed": 7}})
    said = run(tmp_path, *plan)
    assert "splits" in said and "Nothing to be done" not in said
