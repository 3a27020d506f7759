"""Which Python a job runs: that of its conda environment where one is asked for, else the engine's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.checkouts import link_code
from tests.videos import write_video

# what Snakemake asks conda: who it is, and to create an environment, here one whose Python says that it ran
CONDA = """#!/bin/bash
case "$1 $2" in
  "info --json") echo '{{"conda_prefix": "{prefix}", "platform": "linux-64"}}' ;;
  "--version "*) echo "conda 24.7.1" ;;
  "config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "env create")
    target="${{@: -1}}"
    mkdir -p "$target/bin"
    printf '#!/bin/bash\\necho "$0" >> {ran}\\nexec {python} "$@"\\n' > "$target/bin/python"
    chmod +x "$target/bin/python" ;;
esac
"""
ACTIVATE = 'export PATH="$1/bin:$PATH"\n'


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """A checkout in a folder with a space in its name, and one video with its table."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    link_code(root, folder)
    write_video(folder / "data/demo/videos/a.mp4")
    pd.DataFrame({"video": ["a.mp4"], "sentence": ["One."]}).to_csv(
        folder / "data/demo/clips.csv", index=False
    )
    (folder / "data/demo/sentence_variations.json").write_text("{}")
    return folder


def build(project: Path, python: Path | str, path: list[Path | str], *options: str) -> None:
    """Build build/sources.parquet with the engine of `python`, and `path` as PATH."""
    command = [python, "-m", "snakemake", "--cores", "1", *options, "--", "build/sources.parquet"]
    environment = {**os.environ, "PATH": os.pathsep.join(map(str, [*path, "/usr/bin", "/bin"]))}
    done = subprocess.run(
        command, cwd=project, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert (project / "build/sources.parquet").exists()


def test_a_job_runs_the_python_of_its_conda_environment_where_conda_is_asked_for(
    project: Path, tmp_path: Path
) -> None:
    prefix, ran = tmp_path / "conda", tmp_path / "ran"
    (prefix / "bin").mkdir(parents=True)
    conda = prefix / "bin/conda"
    conda.write_text(CONDA.format(prefix=prefix, ran=ran, python=sys.executable))
    conda.chmod(0o755)
    (prefix / "bin/activate").write_text(ACTIVATE)
    # the engine's own environment is active too, and must not win
    path = [Path(sys.executable).parent, prefix / "bin"]
    build(project, sys.executable, path, "--software-deployment-method", "conda")
    (python,) = ran.read_text().splitlines()
    assert Path(python).is_relative_to(project / ".snakemake/conda")


def test_a_job_runs_the_engines_python_where_its_environment_is_not_active(
    project: Path, tmp_path: Path
) -> None:
    # the engine stands in a folder with a space in its name, as in a checkout of such a name
    engine, environment = tmp_path / "an engine", Path(sys.executable).parent.parent
    (engine / "bin").mkdir(parents=True)
    (engine / "bin/python").symlink_to(sys.executable)
    (engine / "lib").symlink_to(environment / "lib")
    shutil.copy(environment / "pyvenv.cfg", engine)
    # the first `python` on the path is one that fails
    (tmp_path / "other").mkdir()
    (tmp_path / "other/python").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "other/python").chmod(0o755)
    build(project, engine / "bin/python", [tmp_path / "other"])
