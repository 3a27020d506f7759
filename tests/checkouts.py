"""Checkouts to build in: the code in a folder of its own, its parameters changed, and both engines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from signloom.params.load import overlay, read_yaml

# what a build reads besides parameters and data
CODE = (
    *("Snakefile", "rules", "workflow_scripts", "signloom", "engines", "profiles"),
    *("environment.yml", ".dvcignore", "LICENSE"),
)


def link_code(root: Path, folder: Path) -> None:
    """Link the code and copy the parameters of the project at `root` into `folder`."""
    for name in CODE:
        (folder / name).symlink_to(root / name)
    # what a test may write
    shutil.copytree(root / "config", folder / "config")
    shutil.copy(root / "params.yaml", folder)


def change_params(folder: Path, changes: dict[str, Any]) -> None:
    """Lay `changes` over the params.yaml in `folder`."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(overlay(read_yaml(path), changes), sort_keys=False), "utf-8")


def start_engines(folder: Path) -> None:
    """Make `folder` a repository of git and DVC, with the dvc.yaml of its own parameters."""
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, sys.executable, "-m", "engines.dvc_yaml")


def copy_of(built: Path, folder: Path) -> Path:
    """Copy a checkout with its products, their times and the engines' records; links stay links."""
    return Path(shutil.copytree(built, folder, symlinks=True))


def run(folder: Path, *command: str, ok: bool = True) -> str:
    """Run `command` in `folder` and return what it prints; `ok` is whether it is to succeed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert (done.returncode == 0) == ok, done.stdout[-4000:]
    return done.stdout


def jobs_of(folder: Path) -> dict[str, int]:
    """Return how many jobs of each rule a Snakemake build would run."""
    text = run(folder, "snakemake", "-n", "--cores", "1", "--quiet", "rules", "reason", "host")
    if "Nothing to be done" in text:
        return {}
    table = text.split("count\n")[1].split("total")[0].splitlines()[1:]
    return {
        name: int(count) for name, count in (line.split() for line in table if line.strip()) if name != "all"
    }


def adopt(folder: Path, ok: bool = True) -> str:
    """Record Snakemake's products in DVC."""
    return run(folder, sys.executable, "-m", "engines.adopt", ok=ok)


def ran_by_dvc(folder: Path) -> set[str]:
    """Return the stages whose command `dvc repro` runs."""
    text = run(folder, "dvc", "repro")
    return {line.split("'")[1] for line in text.splitlines() if line.startswith("Running stage")}


def redone_by_dvc(folder: Path) -> set[str]:
    """Return the stages whose command `dvc repro` runs, or whose products it takes from its run cache.

    Those that are built beside another stage come from the run cache.
    """
    lines = run(folder, "dvc", "repro").splitlines()
    redone = [line for line in lines if line.startswith("Running stage") or "' is cached" in line]
    return {line.split("'")[1] for line in redone}


def assert_nothing_to_do(folder: Path) -> None:
    """Fail unless both engines find all products up to date."""
    assert jobs_of(folder) == {}
    assert "up to date" in run(folder, "dvc", "status")
