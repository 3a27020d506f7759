"""`make` finds a Python that runs, or says what to install; the one that it is given wins."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with a shell and a few tools, and neither Python nor uv."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "grep"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return folder


def stand_in(file: Path, script: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!{shutil.which('sh')}\n{script}\n")
    file.chmod(0o755)


def says(file: Path, version: str) -> None:
    """Write a stand-in for a Python of `version`, which answers when it is asked for its version."""
    stand_in(file, f'case "$2" in *version_info*) echo {version};; *) exit 9;; esac')


def pyenv_shim(file: Path) -> None:
    stand_in(file, 'echo "pyenv: command not found" >&2; exit 127')


def find(root: Path, path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(path / "sh"), str(root / "tools" / "find_python.sh")]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["3.11", "3.12"])
def test_the_only_python_that_is_there_is_found(root: Path, path: Path, version: str) -> None:
    says(path / f"python{version}", version)
    assert find(root, path).stdout == f"python{version}\n"


def test_the_first_version_comes_before_the_second_and_before_python3(root: Path, path: Path) -> None:
    for name, version in (("python3.12", "3.12"), ("python3.11", "3.11"), ("python3", "3.12")):
        says(path / name, version)
    assert find(root, path).stdout == "python3.11\n"


def test_a_shim_that_fails_is_passed_over(root: Path, path: Path) -> None:
    pyenv_shim(path / "python3.11")
    says(path / "python3.12", "3.12")
    assert find(root, path).stdout == "python3.12\n"
    pyenv_shim(path / "python3.12")
    says(path / "python3", "3.12")
    assert find(root, path).stdout == "python3\n"


def test_a_python_of_another_version_is_not_taken(root: Path, path: Path) -> None:
    says(path / "python3.11", "3.10")
    says(path / "python3", "3.13")
    assert find(root, path).returncode == 1


def test_a_python_that_cannot_make_environments_is_not_taken(root: Path, path: Path) -> None:
    # Debian's without python3-venv: its version is right, and importing ensurepip fails
    stand_in(path / "python3.11", 'case "$2" in *ensurepip*) exit 1;; *) echo 3.11;; esac')
    assert find(root, path).returncode == 1


def test_a_python_that_uv_manages_is_found_where_there_is_no_other(root: Path, path: Path) -> None:
    managed = path.parent / "managed" / "python3.12"
    says(managed, "3.12")
    stand_in(path / "uv", f'[ "$*" = "python find --managed-python 3.12" ] && echo {managed}')
    assert find(root, path).stdout == f"{managed}\n"


def test_uv_fetches_a_python_where_it_manages_none(root: Path, path: Path) -> None:
    managed = path.parent / "managed" / "python3.11"
    stand_in(
        path / "uv",
        f"""case "$*" in
"python install --quiet 3.11") : > {managed.parent}/fetched;;
"python find --managed-python 3.11") [ -e {managed.parent}/fetched ] && echo {managed};;
*) exit 2;;
esac""",
    )
    says(managed, "3.11")
    assert find(root, path).stdout == f"{managed}\n"


def test_one_line_says_what_to_install_where_nothing_is_found(root: Path, path: Path) -> None:
    done = find(root, path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "3.11" in line and "install" in line


def test_make_takes_the_python_that_it_is_given_and_asks_nobody_else(
    root: Path, path: Path, tmp_path: Path
) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(root / name, tmp_path)
    says(path / "python3.11", "3.11")
    stand_in(tmp_path / "mine", 'echo "mine: $*" >&2; exit 3')
    for tool in ("make", "sed"):
        (path / tool).symlink_to(str(shutil.which(tool)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "setup", f"PYTHON={tmp_path / 'mine'}"],
        cwd=tmp_path, env=environment | {"PATH": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "mine: -m venv --clear .venv"


def test_make_ends_with_that_one_line_where_there_is_no_python(
    root: Path, path: Path, tmp_path: Path
) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "tools"):
        (tmp_path / name).symlink_to(root / name)
    for tool in ("make", "sed"):
        (path / tool).symlink_to(str(shutil.which(tool)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "setup", "PYTHON="],
        cwd=tmp_path, env=environment | {"PATH": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and not (tmp_path / ".venv").exists()
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(said) == 1 and said[0].startswith("error: no Python 3.11 or 3.12")
