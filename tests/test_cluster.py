"""What jobs ask a cluster for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from row_project import write_project

from engines import machine
from engines.workflow import workflow

# stages that the specification gives a GPU
ON_GPU = {
    *("clip_features", "clip_features_augmented", "text", "train_sign2text", "train_gloss", "embed"),
    *("calibrate", "evaluate_sign2text", "evaluate_retrieval", "evaluate_gloss"),
}


def test_every_rule_declares_what_a_cluster_and_the_report_need(root: Path) -> None:
    with workflow(root) as flow:
        rules = [rule for rule in flow.rules if rule.shellcmd]
        assert {rule.name for rule in rules} >= ON_GPU
        for rule in rules:
            assert rule.log and rule.benchmark and rule.message and rule.docstring, rule.name
            assert {"mem_mb", "runtime"} <= set(rule.resources), rule.name
            assert ("gpu" in rule.resources) == (rule.name.removeprefix("side_") in ON_GPU), rule.name
            assert not rule.is_checkpoint, rule.name
            assert all(Path(str(output)).suffix for output in rule.output), "a folder of unknown contents"


def test_a_job_that_a_cluster_tries_again_asks_for_more_memory(root: Path) -> None:
    with workflow(root, dag=True) as flow:
        jobs = {job.rule.name: job for job in flow.dag.jobs if job.rule.shellcmd}
        first = {name: job.resources.mem_mb for name, job in jobs.items()}
        for job in jobs.values():
            job.attempt = 2
        assert {name: job.resources.mem_mb for name, job in jobs.items()} == {
            name: 2 * asked for name, asked in first.items()
        }


@pytest.mark.parametrize(
    ("printed", "gpus"), [("(null)", False), ("gpu:a100:4(S:0-1)", True), ("(null)\\ngpu:2", True)]
)
def test_jobs_ask_a_cluster_for_a_gpu_where_it_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, gpus: bool
) -> None:
    # what SLURM's own sinfo prints of nodes without and with GPUs
    write_program(tmp_path / "sinfo", f"printf '{printed}\\n'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    # without the answer that this process remembers
    monkeypatch.setattr(machine, "_sinfo", machine._sinfo.__wrapped__)
    assert machine.cluster_has_gpus() == gpus


def test_no_build_starts_on_a_cluster_that_does_not_say_whether_it_has_gpus(tmp_path: Path) -> None:
    write_project(tmp_path / "project")
    for name in ("sinfo", "squeue", "sacct", "scontrol"):
        write_program(tmp_path / "bin" / name, "echo 'Socket timed out\n' >&2; exit 1")
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", "sources"]
    done = subprocess.run(
        command, cwd=tmp_path / "project", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert (
        "error: sinfo failed (Socket timed out), so nobody knows whether the cluster has GPUs" in done.stderr
    )
    assert "Traceback" not in done.stderr


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
