"""Snakemake looks for jobs to start when one has ended, and not all the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SNAKEFILE = """
import sys
sys.path.insert(0, {root!r})
from engines.scheduling import sleep_between_jobs
sleep_between_jobs()
rule all:
    input: expand("long/{{n}}", n=range(2))
rule short:
    output: touch("short/{{n}}")
rule long:
    input: expand("short/{{n}}", n=range(6))
    output: touch("long/{{n}}")
    shell: "sleep 4"
"""


@pytest.mark.parametrize(("given", "most"), [([], 9), (["--max-jobs-per-timespan", "50/1s"], 1000)])
def test_the_scheduler_sleeps_until_a_job_ends_unless_a_limit_is_given(
    root: Path, tmp_path: Path, given: list[str], most: int
) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=str(root)))
    call = [sys.executable, "-m", "snakemake", "--cores", "1", "--verbose", *given]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
    looks = done.stderr.count("Ready jobs: ")
    # six short jobs and two long ones; a chain of looks would add four for each that has ended
    assert 8 <= looks <= most
    assert bool(given) == (looks > 9)
