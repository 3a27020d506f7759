"""DVC's stage `code` says of each stage what code it has."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from engines import code_digests, dvc_stage, restored
from engines.dvc_stage import certainly_differs
from engines.restored import asked
from signloom.records import write_record
from tests.test_import_closure import forget, project

__all__ = ["project"]

PIPELINE = """\
stages:
  code:
    cmd: python -m engines.code_digests work rest
    deps:
      - signloom/one.py
      - signloom/two.py
      - signloom/two.yaml
      - workflow_scripts/__init__.py
      - workflow_scripts/rest.py
      - workflow_scripts/work.py
    outs: [build/code/work.txt, build/code/rest.txt]
  work:
    cmd: python -m engines.dvc_stage work made.txt
    deps: [build/code/work.txt]
    outs: [made.txt]
  rest:
    cmd: python -m engines.dvc_stage rest left.txt
    deps: [build/code/rest.txt]
    outs: [left.txt]
"""


def dvc(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], check=True, capture_output=True)


@pytest.fixture
def built(project: Path) -> Path:
    """The project with two stages whose products DVC has recorded; `work` imports both modules."""
    subprocess.run(["git", "init", "-q"], check=True)
    dvc("init", "-q")
    (project / "workflow_scripts/rest.py").write_text("import sys\nimport time\n")
    (project / "dvc.yaml").write_text(PIPELINE)
    for name in ("made.txt", "left.txt"):
        (project / name).write_text(name)
    code_digests.refresh(None)
    dvc("commit", "--force", "--quiet")
    return project


def change(path: Path) -> None:
    path.write_text(path.read_text() + "Z = 4\n")
    forget()


def test_the_digests_name_every_module_of_a_stage_and_follow_its_imports(project: Path) -> None:
    file = project / "build/code/work.txt"
    code_digests.write(None, ["work"])
    first = file.read_text()
    assert [line.split()[1] for line in first.splitlines()] == [
        *("signloom/one.py", "signloom/two.py", "signloom/two.yaml"),
        *("workflow_scripts/__init__.py", "workflow_scripts/work.py"),
    ]
    (project / "signloom/one.py").write_text('"""One."""\n\n\ndef f():\n    import signloom.three\n')
    forget()
    code_digests.write(None, ["work"])
    assert "signloom/three.py" in file.read_text() and "signloom/two.py" not in file.read_text()


def test_digests_that_are_right_are_not_written_again(project: Path) -> None:
    code_digests.write(None, ["work"])
    before = (project / "build/code/work.txt").stat().st_mtime_ns
    code_digests.write(None, ["work"])
    assert (project / "build/code/work.txt").stat().st_mtime_ns == before


def test_the_command_of_the_stage_writes_what_it_names(project: Path) -> None:
    words = code_digests.command("own,two", ["work"]).split()
    assert code_digests.main(words[3:]) == 0
    assert code_digests.is_digests("build/own-two/code/work.txt")
    assert (project / "build/own-two/code/work.txt").exists()


@pytest.mark.parametrize("text", [None, "", "stages:\n", "stages: {a: {cmd: b}}\n", "stages: [\n"])
def test_a_dvc_yaml_without_the_stage_writes_nothing(project: Path, text: str | None) -> None:
    if text is not None:
        (project / "dvc.yaml").write_text(text)
    code_digests.refresh(None)
    assert not (project / "build").exists()


def test_changed_code_is_found_by_the_stages_that_have_it_and_by_no_others(built: Path) -> None:
    dvc("status", "--quiet")
    change(built / "signloom/two.py")
    found = asked(Path("dvc.yaml")) or []
    assert {stage.wanted.rule: stage.same for stage in found} == {"work": False, "rest": True}


def test_what_dvc_put_back_of_other_code_is_marked_as_unfinished_and_what_a_job_made_is_not(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restored, "_touch", lambda kept, preset: "")
    for stage in ("work", "rest"):
        (built / f"workflow_scripts/{stage}.py").write_text("import json\n")
    forget()
    write_record(Path("build/records"), "rest", [Path("left.txt")])
    metadata, unfinished = Path(".snakemake/metadata"), Path(".snakemake/incomplete")
    metadata.mkdir(parents=True)
    for name in ("made.txt", "left.txt"):  # of the last job, whose code was the same as now
        (metadata / base64.urlsafe_b64encode(name.encode()).decode()).write_text("{}")
    assert restored.main([]) == 0
    marks = [base64.urlsafe_b64decode(path.name).decode() for path in unfinished.iterdir()]
    assert marks == ["made.txt"]


def test_a_product_that_dvc_puts_back_later_is_looked_at(built: Path) -> None:
    known = built / ".snakemake/signloom_dvc/demo.json"
    (built / "made.txt").unlink()
    restored.remember("")
    assert restored._is_known(known)
    dvc("checkout", "made.txt")
    assert not restored._is_known(known)


def test_what_other_code_made_is_not_recorded(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "error: the code of work has changed since DVC's stage code ran; run dvc repro again"
    change(built / "signloom/two.py")
    assert dvc_stage.main(["work", "made.txt"]) == 2  # before the job
    assert capsys.readouterr().err.strip() == said
    code_digests.refresh(None)

    def edited_meanwhile(*given: object) -> int:
        change(built / "signloom/two.py")
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dvc_stage, "snakemake", edited_meanwhile)
        assert dvc_stage.main(["work", "made.txt"]) == 2  # after it
    assert capsys.readouterr().err.strip() == said


def test_a_module_that_dvc_yaml_does_not_name_is_said(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["work", "rest"]
    assert code_digests.main(names) == 0
    (built / "signloom/one.py").write_text('"""One."""\n\n\ndef f():\n    import signloom.three\n')
    forget()
    assert code_digests.main(names) == 2
    assert (
        "dvc.yaml does not name signloom/three.py, which is code now; run make dvc" in capsys.readouterr().err
    )


def test_a_module_that_cannot_be_read_is_one_line(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (built / "signloom/two.py").write_text("W = 0\ndef (\n")
    forget()
    assert code_digests.main(["work"]) == 2
    assert capsys.readouterr().err.startswith("error: signloom/two.py: line 2: ")


def test_asking_what_is_unchanged_writes_nothing(built: Path) -> None:
    before = (built / "build/code/work.txt").read_bytes()
    change(built / "signloom/two.py")
    asked(Path("dvc.yaml"))
    assert (built / "build/code/work.txt").read_bytes() == before


def test_changed_code_alone_may_leave_a_stage_as_it_is(built: Path) -> None:
    from dvc.repo import Repo

    change(built / "signloom/two.py")
    code_digests.refresh(None)
    with Repo() as repo, repo.lock:
        stages = {stage.name: stage for stage in repo.index.stages}
        assert stages["work"].changed_deps() and not stages["rest"].changed_deps()
        assert not certainly_differs(stages["work"])
