"""Checkpoints: plain data, equal bytes, and where they come from."""

from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from signloom.errors import SignloomError
from signloom.models import checkpoints


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    content = {
        "model": {"weight": torch.arange(6.0).view(2, 3)},
        "epoch": 3,
        "metrics": {"wer": None, "x": 0.5},
    }
    checkpoints.save(tmp_path / "a.pth", content)
    back = checkpoints.load(tmp_path / "a.pth")
    assert torch.equal(back["model"].pop("weight"), content["model"].pop("weight")) and back == content


def test_equal_content_gives_equal_bytes_however_its_objects_are_shared(tmp_path: Path) -> None:
    text = "a text of some length"
    twin = "".join(list(text))
    big = torch.zeros(100)
    rows = {"loss": 0.25}
    checkpoints.save(
        tmp_path / "a.pth", {"t": big[:3], "u": [text, text], "rows": [rows, rows], "name": text}
    )
    copies = [dict(rows), dict(rows)]
    checkpoints.save(
        tmp_path / "b.pth", {"t": torch.zeros(3), "u": [text, twin], "rows": copies, "name": twin}
    )
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()
    assert (tmp_path / "a.pth").stat().st_size < 3000, "a slice must not carry the array that it comes from"


class Command:
    def __reduce__(self) -> tuple:
        return os.system, ("true",)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": Command()}, tmp_path / "bad.pth")
    (tmp_path / "worse.pth").write_bytes(pickle.dumps(Command()))
    for name in ("bad.pth", "worse.pth"):
        with pytest.raises(SignloomError, match="not a checkpoint"):
            checkpoints.load(tmp_path / name)
    signed = checkpoints._with_digest((tmp_path / "bad.pth").read_bytes())
    (tmp_path / "bad.pth").write_bytes(signed)
    with pytest.raises(SignloomError, match=r"not a checkpoint of tensors and plain data \(Weights only"):
        checkpoints.load(tmp_path / "bad.pth")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.9577422510944421, bit=0)  # the length of the comment that holds the digest
def test_no_bit_of_a_checkpoint_may_change(tmp_path: Path, place: float, bit: int) -> None:
    checkpoints.save(tmp_path / "a.pth", {"model": {"weight": torch.arange(50.0)}, "name": "a"})
    content = bytearray((tmp_path / "a.pth").read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(
        SignloomError, match=r"a\.pth: (has changed since it was written; delete it|.*no digest)"
    ):
        checkpoints.load(tmp_path / "a.pth")


def test_a_checkpoint_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "a.pth", {"model": {"weight": torch.arange(50.0)}})
    content = (tmp_path / "a.pth").read_bytes()
    for length in (0, 1, 80, len(content) - 1):
        (tmp_path / "a.pth").write_bytes(content[:length])
        with pytest.raises(SignloomError, match="it has no digest"):
            checkpoints.load(tmp_path / "a.pth")


def test_a_checkpoint_that_cannot_be_read_is_not_called_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError):
        checkpoints.load(tmp_path / "none.pth")
    checkpoints.save(tmp_path / "a.pth", {"epoch": 3})

    def no_memory(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "load", no_memory)
    with pytest.raises(MemoryError):
        checkpoints.load(tmp_path / "a.pth")


def test_nothing_but_tensors_and_plain_data_can_be_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="PosixPath"):
        checkpoints.save(tmp_path / "a.pth", {"path": tmp_path})
    assert not list(tmp_path.iterdir())


def test_the_commit_is_the_last_one_that_touched_the_library(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    library = tmp_path / "library"
    library.mkdir()
    assert checkpoints.library_commit(library) == "unknown"
    git("init", "-q")
    assert checkpoints.library_commit(library) == "unknown"
    (library / "a.py").write_text("1")
    git("add", ".")
    git("commit", "-qm", "one")
    first = git("rev-parse", "HEAD")
    (tmp_path / "README").write_text("elsewhere")
    git("add", ".")
    git("commit", "-qm", "two")
    assert checkpoints.library_commit(library) == first
    (library / "a.py").write_text("2")
    assert checkpoints.library_commit(library) == first + "-dirty"


def test_a_commit_that_git_does_not_give_is_unknown_with_a_warning_of_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert checkpoints.library_commit(tmp_path) == "unknown" and not capsys.readouterr().err
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert checkpoints.library_commit(tmp_path) == "unknown"
    assert "names no commit: fatal: detected dubious ownership" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkpoints.library_commit(tmp_path) == "unknown"
    assert "names no commit: git is not installed" in capsys.readouterr().err


def test_versions_name_what_the_numbers_depend_on() -> None:
    versions = checkpoints.versions()
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0] and "python" in versions
