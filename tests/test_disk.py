"""A disk that is full or shut is one line that names the place, whichever library wrote."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from signloom.disk import disk_error
from signloom.errors import SignloomError
from tests.checkouts import link_code
from workflow_scripts.job import Job, entry_point


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def said_of(error: BaseException, folder: Path = Path()) -> str:
    return str(disk_error(error, "embed", folder))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_with_its_place_and_what_to_do(code: int) -> None:
    error = OSError(code, os.strerror(code), "build/embeddings/x.npy")
    assert said_of(error) == (
        "embed: build/embeddings/x.npy: no space left on the disk; free some and start again, "
        "finished work is kept"
    )


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG])
def test_a_disk_that_may_not_be_written_is_named(code: int) -> None:
    assert f"build/a: {os.strerror(code)}; " in said_of(OSError(code, os.strerror(code), "build/a"))


def test_the_cause_behind_another_error_counts() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "a")
        except OSError as cause:
            raise RuntimeError("the writer failed") from cause
    except RuntimeError as error:
        assert "embed: a: no space left" in said_of(error)


def test_a_library_that_does_not_say_why_is_believed_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("PytorchStreamWriter failed writing file data.pkl")
    assert disk_error(error, "train", tmp_path / "not/there") is None
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(10, 10, 4096))
    assert "not/there: no space left" in said_of(error, tmp_path / "not/there")
    assert disk_error(ValueError("a bug"), "train", tmp_path) is None


def test_other_errors_are_not_taken_for_the_disk() -> None:
    for error in (FileNotFoundError(errno.ENOENT, "No such file", "a"), KeyError("a"), SignloomError("a")):
        assert disk_error(error, "embed", Path()) is None


def stage(error: BaseException) -> Callable[..., int]:
    def work(job: Job) -> None:
        raise error

    return entry_point(work)


def test_a_stage_ends_in_one_line_when_its_disk_is_full(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "build/a.npy")
    assert stage(full)(["--output", "a=build/a.npy"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(KeyError):
        stage(KeyError("a bug"))(["--output", "a=build/a.npy"])


def test_a_thread_that_the_disk_fails_says_it_in_one_line(root: Path) -> None:
    program = (
        "import threading\n"
        "from workflow_scripts.job import entry_point\n"
        "def fail(error):\n    raise error\n"
        "def work(job):\n"
        "    for error in (OSError(28, 'No space left on device', 'tb'), KeyError('a bug')):\n"
        "        thread = threading.Thread(target=fail, args=(error,))\n"
        "        thread.start()\n        thread.join()\n"
        "entry_point(work)\n"
    )
    command = [sys.executable, "-c", program, "--output", f"a={root}/build/a.npy"]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True).stderr
    assert "tb: no space left on the disk" in said.splitlines()[0]
    assert said.count("Traceback") == 1 and "KeyError: 'a bug'" in said


@pytest.mark.parametrize(
    ("module", "file", "most"),
    [
        ("dvc_yaml", "dvc.yaml", 60_000),
        ("conda_env", "environment.yml", 1000),
        ("params_schema", "config/params.schema.json", 20_000),
        ("plots_page", "build/plots.html", 60_000),
    ],
)
def test_a_generated_file_is_written_whole_or_stays_as_it_was(
    root: Path, tmp_path: Path, module: str, file: str, most: int
) -> None:
    link_code(root, tmp_path)
    for name in ("pyproject.toml", "requirements.lock", "requirements-backbones.lock"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / file).unlink(missing_ok=True)
    (tmp_path / file).write_text("old", "utf-8")
    command = [sys.executable, "-m", f"engines.{module}", *([file] if module == "plots_page" else [])]
    program: dict[str, Any] = {"cwd": tmp_path, "text": True, "capture_output": True}
    limit = (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    small = subprocess.run(
        command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit), **program
    )
    assert small.returncode == 2 and (tmp_path / file).read_text("utf-8") == "old"
    assert small.stderr == f"error: generated file: {file}: File too large; check the disk\n"
    assert subprocess.run(command, **program).returncode == 0
    assert len((tmp_path / file).read_text("utf-8")) > most
