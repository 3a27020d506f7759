"""The workflow as a module of another project, which has its own folder, parameters and data."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from signloom.params.load import load_params
from tests.videos import write_video


def test_another_project_uses_the_workflow_as_a_module_from_its_own_folder(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "Snakefile").write_text(
        f"""
configfile: "params.yaml"


module signloom:
    snakefile:
        "{root}/Snakefile"
    config:
        config


use rule * from signloom as signloom_*
""",
        "utf-8",
    )
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
