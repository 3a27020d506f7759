"""The code of a stage is found from its imports, and what files import is remembered between starts."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import import_closure
from engines.import_closure import code_of


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of three modules, in which nothing is remembered yet, and of which nothing is later."""
    files = {
        "workflow_scripts/__init__.py": "",
        "workflow_scripts/work.py": "from signloom.one import f\n\nf()\n",
        "signloom/__init__.py": '"""Nothing."""\n',
        "signloom/one.py": '"""One."""\n\n\ndef f():\n    import signloom.two\n',
        "signloom/two.py": "W = 0\nX = 1\n",
        "signloom/two.yaml": "a: 1\n",
        "signloom/three.py": "Y = 2\nZ = 3\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """What a new process knows: only the file."""
    for function in ("_imports", "_files_of", "_source", "_known"):
        getattr(import_closure, function).cache_clear()


def test_the_second_start_parses_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = code_of("work")
    assert first == [
        *("signloom/one.py", "signloom/two.py", "signloom/two.yaml"),
        *("workflow_scripts/__init__.py", "workflow_scripts/work.py"),
    ]
    forget()
    monkeypatch.setattr("ast.parse", None)
    assert code_of("work") == first


def test_a_changed_file_is_parsed_again(project: Path) -> None:
    code_of("work")
    (project / "signloom/one.py").write_text('"""One."""\n\n\ndef f():\n    import signloom.three\n')
    forget()
    assert "signloom/three.py" in code_of("work") and "signloom/two.py" not in code_of("work")


@pytest.mark.parametrize("text", ["LIMIT = 1\n", "def f(): pass\n", '"""Doc."""\nLIMIT = 1\n'])
def test_a_module_of_one_statement_is_code(project: Path, text: str) -> None:
    (project / "signloom/two.py").write_text(text)
    assert "signloom/two.py" in code_of("work")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"NAME": 3}', '{"NAME": [[1], []]}'])
def test_a_damaged_memory_counts_as_none(project: Path, content: str) -> None:
    first = code_of("work")
    name = str((project / "signloom/one.py").resolve())
    import_closure.KNOWN.write_text(content.replace("NAME", name))
    forget()
    assert code_of("work") == first
    assert name in json.loads(import_closure.KNOWN.read_text())


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_no_obstacle(project: Path) -> None:
    (project / ".snakemake").chmod(0o500)
    assert code_of("work")


def test_without_the_engines_folder_nothing_is_written(project: Path) -> None:
    (project / ".snakemake").rmdir()
    assert code_of("work") and not (project / ".snakemake").exists()
