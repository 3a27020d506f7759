"""The workflow as a module of another project, which has its own folder, parameters and data."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pandas as pd
import yaml
from checkouts import run
from row_project import write_project

from signloom.params.load import load_params
from tests.videos import write_video

MODULE = """
configfile: "params.yaml"


module signloom:
    snakefile:
        "{root}/Snakefile"
    config:
        config


use rule * from signloom as signloom_*
"""


def test_another_project_uses_the_workflow_as_a_module_from_its_own_folder(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "Snakefile").write_text(MODULE.format(root=root), "utf-8")
    write_video(tmp_path / "videos/a.mp4", 17, 1, 25)
    (tmp_path / "clips.csv").write_text("video,sentence\na.mp4,a b\n", "utf-8")
    params = load_params(root / "params.yaml").model_dump(mode="json")
    params["dataset"] |= {"table": "clips.csv", "videos": "videos", "variations": None}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    command = ["snakemake", "--dry-run", "--quiet", "all", "--", "signloom_all"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    command = ["snakemake", "--cores", "1", "signloom_sources"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build/sources.parquet").exists()


def test_folders_of_the_other_workflow_may_be_shut(root: Path, tmp_path: Path) -> None:
    write_project(tmp_path / "rows")
    for name in ("data", "params.yaml"):
        (tmp_path / "rows" / name).rename(tmp_path / name)
    shut = 'import os\nos.access = lambda path, mode: os.path.basename(path) != "shut"\n'
    own = 'rule own:\n    output:\n        "shut/made.txt"\n    shell:\n        "touch {output}"\n'
    (tmp_path / "shut").mkdir()
    (tmp_path / "Snakefile").write_text(shut + own + MODULE.format(root=root), "utf-8")
    assert "This was a dry-run" in run(tmp_path, "snakemake", "-n", "--", "build/sources.parquet")


def test_a_module_with_a_prefix_is_refused(root: Path, tmp_path: Path) -> None:
    module = MODULE.format(root=root)
    given = 'config\n    prefix:\n        "own"\n'
    (tmp_path / "Snakefile").write_text(module.replace("        config\n", f"        {given}"), "utf-8")
    write_project(tmp_path / "rows")
    (tmp_path / "rows/params.yaml").rename(tmp_path / "params.yaml")
    said = run(tmp_path, "snakemake", "-n", "--", "signloom_all", ok=False)
    assert said.splitlines()[-1].startswith("error: this workflow names its products itself; take `prefix`")


def test_a_job_of_a_module_that_failed_after_it_had_written_is_tried_again(
    root: Path, tmp_path: Path
) -> None:
    write_project(tmp_path)
    (tmp_path / "Snakefile").unlink()
    (tmp_path / "Snakefile").write_text(MODULE.format(root=root), "utf-8")
    manifest, table = tmp_path / "build/manifest.parquet", tmp_path / "data/own/clips.csv"
    build = ("snakemake", "--cores", "1", "--", "build/manifest.parquet")
    run(tmp_path, *build)
    table.write_bytes(table.read_bytes().replace(b"take-7.npy", b"gone.npy"))
    os.utime(table, (4e9, 4e9))  # of a clock that was ahead, at which Snakemake fails the job that reads it
    elsewhere = ("snakemake", "--directory", str(tmp_path), "--snakefile", str(tmp_path / "Snakefile"))
    assert "Removing output" in run(tmp_path.parent, *elsewhere, *build[1:], ok=False)
    os.utime(table)
    run(tmp_path, *build)
    assert len(pd.read_parquet(manifest)) == 11
