"""The command of a DVC stage: what it builds, and what it builds beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from engines import dvc_stage
from engines.dvc_stage import Wanted, asks_for_all, built_since, changed_beside, command, record, wanted_by

STAGES = {
    "first": ("one", [], ["a"]),
    "other": ("one", [], ["b"]),
    "alone": ("three", [], ["c"]),
    "second": ("two", ["a"], ["d"]),
    "both": ("two", ["b", "c"], ["e"]),
}


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A pipeline of DVC whose commands are those of stages; nothing is built."""
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    lines = ["stages:"]
    for name, (rule, deps, outs) in STAGES.items():
        lines += [f"  {name}:", f"    cmd: '{command('', rule, outs[0])} # command 1'"]
        lines += ["    deps: [" + ", ".join(["code", *deps]) + "]", f"    outs: [{', '.join(outs)}]"]
    Path("dvc.yaml").write_text("\n".join(lines) + "\n")
    Path("code").write_text("x")
    return Repo()


def build(repo: Repo, *names: str) -> None:
    for name in names:
        for out in STAGES[name][2]:
            Path(out).write_text(out)
    with repo.lock:
        record([stage for stage in repo.index.stages if stage.name in names])
    repo._reset()


def beside(repo: Repo, name: str) -> list[str]:
    rule, _, outs = STAGES[name]
    with repo.lock:
        return sorted(stage.name for stage in changed_beside(repo, Wanted(rule, outs[0]), "dvc.yaml"))


def test_all_stages_whose_inputs_are_ready_are_built_beside_the_first(repo: Repo) -> None:
    assert beside(repo, "first") == ["alone", "other"]


def test_what_has_not_changed_is_not_built(repo: Repo) -> None:
    build(repo, *STAGES)
    assert beside(repo, "first") == []
    Path("code").write_text("y")
    assert beside(repo, "first") == ["alone", "other"]


def test_a_stage_waits_where_its_input_is_of_a_rule_that_is_being_built(repo: Repo) -> None:
    build(repo, "other", "alone")
    # `both` needs an output of the rule of `first`, which Snakemake could think stale
    assert beside(repo, "first") == []


def test_a_recorded_stage_comes_from_the_run_cache_and_runs_no_command(repo: Repo) -> None:
    build(repo, "first", "other", "alone")
    for name in ("a", "b", "c"):
        Path(name).unlink()
    Path("dvc.lock").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "first", "other", "alone"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Running stage" not in done.stdout and Path("a").read_text() == "a"


@pytest.mark.parametrize(
    ("line", "file", "wanted"),
    [
        ("/x/bin/python /x/bin/dvc repro", "dvc.yaml", True),
        ("python -m dvc repro -q", "dvc.yaml", True),
        ("dvc repro ./dvc.yaml", "dvc.yaml", True),
        ("dvc repro config/presets/a/dvc.yaml", "config/presets/a/dvc.yaml", True),
        ("dvc repro config/presets/a/dvc.yaml", "dvc.yaml", False),
        ("dvc repro", "config/presets/a/dvc.yaml", False),
        ("dvc repro text", "dvc.yaml", False),
        ("dvc repro --force", "dvc.yaml", False),
        ("dvc repro --single-item text", "dvc.yaml", False),
        ("dvc exp run -S sign2text.lr=0.1 --set-param run.seed=3 -n low", "dvc.yaml", True),
        ("dvc exp run --queue", "dvc.yaml", False),
        ("dvc run", "dvc.yaml", False),
        ("bash -c dvc status", "dvc.yaml", False),
        ("make repro", "dvc.yaml", False),
    ],
)
def test_only_a_rebuild_of_everything_builds_more_than_its_stage(line: str, file: str, wanted: bool) -> None:
    assert asks_for_all(line.split(), file) is wanted


def test_an_output_that_this_build_did_not_write_is_not_recorded(repo: Repo) -> None:
    Path("a").write_text("a")
    stage = next(stage for stage in repo.index.stages if stage.name == "first")
    assert built_since(stage, time.time() - 5)
    os.utime("a", (1, 1))
    assert not built_since(stage, time.time() - 5)
    Path("a").unlink()
    assert not built_since(stage, time.time() - 5)


def test_a_command_names_its_rule_and_output_again(repo: Repo) -> None:
    found = {stage.name: wanted_by(stage) for stage in repo.index.stages}
    assert found["second"] == Wanted("two", "d")
    assert command("a,b", "two", "d") == "python -m engines.dvc_stage --preset a,b two d"


def test_the_stage_is_built_again_if_something_beside_it_failed(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], Sequence[str]]] = []

    def build(wanted: Sequence[Any], preset: str | None, *options: str) -> int:
        calls.append(([output for _, output in wanted], options))
        Path("b").write_text("b")
        return 0 if len(wanted) == 1 else 1

    monkeypatch.setattr(dvc_stage, "snakemake", build)
    monkeypatch.setattr(dvc_stage, "asks_for_all", lambda words, file: True)
    assert dvc_stage.main(["one", "a"]) == 0
    assert [sorted(outputs) for outputs, _ in calls] == [["a", "b", "c"], ["a"]]
    assert calls[0][1] == ("--keep-going",)
    repo._reset()
    with repo.lock:
        # b was built and is recorded; c was not
        assert sorted(s.name for s in repo.index.stages if not s.changed()) == ["other"]
