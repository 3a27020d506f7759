"""The tutorial's commands lead from a folder of videos to an answer and an ELAN file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pympi.Elan import Eaf

from tests.checkouts import CODE, run
from tests.form_files import write_videos
from tools.cut_signs import SIGNS

WALK = (
    "python -m tools.cut_signs",
    "signloom init",
    "signloom check",
    "snakemake --cores",
    "signloom predict",
)


def walk_of(page: str) -> str:
    """Return the commands of the tutorial from the folder of videos to the answer."""
    walk = page[page.index("\n## 2. ") : page.index("\n## 6. ")]
    return "".join(re.findall(r"^```sh\n(.*?)^```$", walk, re.M | re.S))


@pytest.fixture
def project(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project with the demo corpus and nothing built."""
    for name in (*CODE, "config", "tools", "params.yaml"):
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, tmp_path / name)
    # what somebody who follows the tutorial has written
    (tmp_path / "config/presets/mine.yaml").unlink(missing_ok=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/demo").symlink_to(root / "data/demo")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_commands_of_the_tutorial_lead_from_videos_to_a_sign_and_an_elan_file(
    root: Path, project: Path
) -> None:
    commands = walk_of((root / "docs/tutorial.md").read_text("utf-8"))
    assert all(command in commands for command in WALK)
    said = run(project, "bash", "-euo", "pipefail", "-c", commands)
    assert set(re.findall(r"^  sign: (\w+) ", said, re.M)) <= set(SIGNS)
    assert "  accepted\n" in said
    annotated = Eaf(str(project / "teacher.eaf")).get_annotation_data_for_tier("gloss")
    assert annotated and {text for *_, text in annotated} <= set(SIGNS)


def test_the_commands_that_init_names_are_those_of_the_tutorial(
    root: Path, new_project: Path, said: Callable[..., tuple[int, str, str]]
) -> None:
    write_videos(new_project / "data/mine", *(f"{sign}/{n}.mp4" for sign in SIGNS for n in range(4)))
    _, out, _ = said("init", "data/mine")
    named = out.partition("Next:\n")[2].split("\n")[:-1]
    assert len(named) == 3
    commands = walk_of((root / "docs/tutorial.md").read_text("utf-8"))
    for command in named:
        assert re.search(re.escape(command.strip()).replace("VIDEO", r"\S+"), commands), command
