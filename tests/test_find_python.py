"""`make` finds a Python that runs, or says what to install, and finishes an environment or makes it anew."""

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
    file.parent.mkdir(parents=True, exist_ok=True)
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


def test_a_python_without_modules_of_the_engines_is_not_taken(root: Path, path: Path) -> None:
    # pyenv compiles such a one where the headers of SQLite are not installed
    stand_in(path / "python3.11", 'case "$2" in *sqlite3*) exit 1;; *) echo 3.11;; esac')
    done = find(root, path)
    assert done.returncode == 1 and "sqlite3" in done.stderr


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


@pytest.mark.parametrize("script", ["echo 3.13", "exit 127"])
def test_a_named_python_that_cannot_make_the_environment_is_one_line(
    root: Path, path: Path, script: str
) -> None:
    says(path / "python3.11", "3.11")
    stand_in(path / "mine", script)
    command = [str(path / "sh"), str(root / "tools" / "find_python.sh"), "mine"]
    done = subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: mine does not run as Python 3.11 or 3.12")


# what stands for Python, and for the Python and the uv of the environment that it makes; they write what they
# are asked for into `asked`, and uv fails in what `fails` names
STAND_INS = {
    "bin/python3.11": """case "$*" in
*sys.version_info*) echo 3.11;;
*sys.version*) echo 3.11.9;;
"-m venv --clear .venv") echo venv >> asked; rm -rf .venv; mkdir -p .venv/bin; cp stands/* .venv/bin;;
esac""",
    "stands/python": 'case "$*" in *sys.version*) echo 3.11.9;; *) echo "pip user=$PIP_USER" >> asked;; esac',
    "stands/uv": """echo "uv index=$UV_DEFAULT_INDEX $*" >> asked
case "$*" in *"$(cat fails)"*) exit 2;; esac""",
}


class Checkout:
    """A folder with the Makefile, whose Python and uv are stand-ins."""

    def __init__(self, root: Path, path: Path, folder: Path) -> None:
        self.folder, self.path = folder, path
        for name in ("Makefile", "pyproject.toml", "requirements.lock"):
            shutil.copy(root / name, folder)
        (folder / "tools").symlink_to(root / "tools")
        for tool in ("make", "sed", "cat", "rm", "mkdir", "cp"):
            (path / tool).symlink_to(str(shutil.which(tool)))
        for name, script in STAND_INS.items():
            stand_in(folder / name, script)

    def setup(self, *arguments: str, fails: str = "nothing", **environment: str) -> tuple[int, list[str]]:
        """Run `make setup`; return its exit status and what the stand-ins were asked for."""
        (self.folder / "fails").write_text(fails)
        (self.folder / "asked").write_text("")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MAKE", "PIP_", "UV_")) and name != "PYTHON"
        }
        done = subprocess.run(
            ["make", "setup", *arguments],
            cwd=self.folder, env=kept | {"PATH": str(self.path)} | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, (self.folder / "asked").read_text().splitlines()

    def lock_changes(self) -> None:
        later = (self.folder / ".venv" / ".locked").stat().st_mtime + 10
        os.utime(self.folder / "requirements.lock", (later, later))


@pytest.fixture
def checkout(root: Path, path: Path, tmp_path: Path) -> Checkout:
    return Checkout(root, path, tmp_path)


def test_an_environment_that_is_whole_is_kept(checkout: Checkout) -> None:
    status, asked = checkout.setup()
    assert status == 0 and asked[0] == "venv"
    assert checkout.setup() == (0, [])
    checkout.lock_changes()
    status, asked = checkout.setup()
    assert status == 0 and "venv" not in asked and any("requirements.lock" in line for line in asked)


def test_an_environment_whose_python_was_made_and_no_more_is_made_anew(checkout: Checkout) -> None:
    stand_in(checkout.folder / ".venv" / "bin" / "python", 'echo "No module named pip" >&2; exit 1')
    status, asked = checkout.setup()
    assert status == 0 and asked[0] == "venv"


def test_an_environment_that_was_stopped_in_the_middle_of_packages_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    checkout.lock_changes()
    assert checkout.setup(fails="torch==")[0] != 0
    status, asked = checkout.setup()
    assert status == 0 and asked[0] == "venv"


def test_an_environment_is_left_alone_where_new_packages_cannot_be_had(checkout: Checkout) -> None:
    checkout.setup()
    checkout.lock_changes()
    for _ in range(2):
        status, asked = checkout.setup(fails="--dry-run")
        assert status != 0 and "venv" not in asked and "--dry-run" in asked[-1]
    status, asked = checkout.setup()
    assert status == 0 and "venv" not in asked


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    python = checkout.folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.11")
    status, asked = checkout.setup()
    assert status == 0 and asked[0] == "venv"


def test_another_torch_in_pyproject_is_installed(checkout: Checkout) -> None:
    checkout.setup()
    text = (checkout.folder / "pyproject.toml").read_text("utf-8")
    (checkout.folder / "pyproject.toml").write_text(text.replace('"torch==2', '"torch==3'), "utf-8")
    later = (checkout.folder / ".venv" / ".locked").stat().st_mtime + 10
    os.utime(checkout.folder / "pyproject.toml", (later, later))
    assert any(" torch==3" in line for line in checkout.setup()[1])


def test_settings_of_pip_neither_stop_it_nor_are_lost(checkout: Checkout) -> None:
    asked = checkout.setup(PIP_USER="1", PIP_INDEX_URL="http://mirror/simple")[1]
    assert asked[1] == "pip user=0"
    assert {line.split()[1] for line in asked[2:]} == {"index=http://mirror/simple"}
    given = checkout.setup("--always-make", PIP_INDEX_URL="http://mirror", UV_DEFAULT_INDEX="http://mine")[1]
    assert given[-1].startswith("uv index=http://mine ")


def test_the_demo_asks_for_a_git_repository_before_it_builds(root: Path, path: Path, tmp_path: Path) -> None:
    (path / "git").symlink_to(str(shutil.which("git")))
    folder = tmp_path / "below"
    shutil.copytree(path, folder / "bin", symlinks=True)
    checkout = Checkout(root, folder / "bin", folder)
    checkout.setup()
    stand_in(folder / "bin" / "snakemake", "echo snakemake >> asked; exit 3")

    def demo() -> tuple[str, str]:
        done = subprocess.run(
            ["make", "demo"],
            cwd=folder, env={"PATH": str(checkout.path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        return done.stderr.splitlines()[0], (folder / "asked").read_text()

    said, asked = demo()
    assert "this folder is none; run git init" in said and "snakemake" not in asked
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)  # DVC takes a folder of a repository too
    assert "snakemake" in demo()[1]


def test_make_takes_the_python_that_it_is_given_and_asks_nobody_else(
    root: Path, path: Path, tmp_path: Path
) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "tools").symlink_to(root / "tools")
    says(path / "python3.11", "3.11")
    stand_in(
        tmp_path / "mine", 'case "$2" in *version_info*) echo 3.12;; *) echo "mine: $*" >&2; exit 3;; esac'
    )
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
