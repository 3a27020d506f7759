"""The command of a DVC stage: what it builds, and what it builds beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from dvc.repo import Repo
from dvc.rwlock import rwlock

from engines import dvc_stage
from engines.dvc_stage import Wanted, asks_for_all, built_since, command, next_stages, record, wanted_by

STAGES = {
    "first": ("one", [], ["a"]),
    "other": ("one", [], ["b"]),
    "alone": ("three", ["table"], ["c"]),
    "second": ("two", ["a"], ["d"]),
    "both": ("two", ["b", "c"], ["e"]),
}

# Ctrl-C ends what started it, and itself only after a while
SLOW_TO_END = """
import os, pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.kill(os.getppid(), signal.SIGINT)
time.sleep(1)
pathlib.Path("ended").touch()
"""

CODE = "build/code/one.txt"  # what DVC's stage `code` writes of a stage's modules


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A pipeline of DVC whose commands are those of stages; nothing is built."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dvc_stage, "is_current", lambda path: True)  # there is no code here
    monkeypatch.setattr(dvc_stage, "is_old", lambda preset: False)  # nor rules
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    lines = ["stages:"]
    for name, (rule, deps, outs) in STAGES.items():
        lines += [f"  {name}:", f"    cmd: '{command('', rule, outs[0])} # command 1'"]
        lines += ["    deps: [" + ", ".join([CODE, *deps]) + "]", f"    outs: [{', '.join(outs)}]"]
    Path("dvc.yaml").write_text("\n".join(lines) + "\n")
    Path(CODE).parent.mkdir(parents=True)
    Path(CODE).write_text("x")
    Path("table").write_text("x")
    return Repo()


def build(repo: Repo, *names: str) -> None:
    for name in names:
        for out in STAGES[name][2]:
            Path(out).write_text(out)
    with repo.lock:
        record([stage for stage in repo.index.stages if stage.name in names])
    repo._reset()


def now(repo: Repo, name: str, *built: str) -> tuple[list[str], bool]:
    """Return what is built with the stage `name`, and whether others wait for it."""
    with repo.lock:
        stages, waiting = next_stages(repo, wanted(name), "dvc.yaml", {wanted(one) for one in built})
    return sorted(stage.name for stage in stages), waiting


def wanted(name: str) -> Wanted:
    rule, _, outs = STAGES[name]
    return Wanted(rule, outs[0])


def test_all_stages_that_were_never_built_are_built_at_once(repo: Repo) -> None:
    assert now(repo, "first") == (sorted(STAGES), False)


def test_only_what_has_changed_is_built(repo: Repo) -> None:
    build(repo, *STAGES)
    assert now(repo, "first") == (["first"], True)  # what it writes may be the same
    assert now(repo, "first", "first") == ([], False)


def test_stages_wait_where_code_has_changed_and_their_input_may_stay_the_same(repo: Repo) -> None:
    build(repo, *STAGES)
    Path(CODE).write_text("y")
    assert now(repo, "first") == (["alone", "first", "other"], True)
    build(repo, "other", "alone")
    Path("a").write_text("a")
    assert now(repo, "first", "first") == (["both", "second"], False)


def test_lost_outputs_are_built_at_once(repo: Repo) -> None:
    build(repo, *STAGES)
    for stage in repo.index.stages:
        for out in stage.outs if stage.name in ("first", "second") else ():
            Path(out.fs_path).unlink()
            Path(out.cache_path).unlink()
    assert now(repo, "first") == (["first", "second"], False)


def test_all_that_follows_a_changed_input_is_built_at_once(repo: Repo) -> None:
    build(repo, *STAGES)
    Path("table").write_text("y")
    assert now(repo, "alone") == (["alone", "both"], False)
    # what `first` writes may stay the same, so `second` waits; `both` needs an output of the rule of `first`
    assert now(repo, "first") == (["alone", "first"], True)


def test_a_stage_waits_where_its_input_is_of_a_rule_that_is_being_built(repo: Repo) -> None:
    build(repo, "other", "alone")
    # `both` needs an output of the rule of `first`, which Snakemake could think stale
    assert now(repo, "first") == (["first", "second"], True)
    assert now(repo, "first", "first", "second") == (["both"], False)


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


@pytest.fixture
def snakemake(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A Snakemake that writes what it is called for, but for `failing`, where all stages were asked for."""
    fake = SimpleNamespace(failing=set(), calls=[])

    def call(wanted: Sequence[Wanted], preset: str | None, *options: str) -> int:
        outputs = {output for _, output in wanted}
        fake.calls.append((sorted(outputs), *options))
        for output in outputs - fake.failing if "--dry-run" not in options else ():
            Path(output).write_text(output)
        return int("--dry-run" not in options and bool(outputs & fake.failing))

    monkeypatch.setattr(dvc_stage, "snakemake", call)
    monkeypatch.setattr(dvc_stage, "asks_for_all", lambda words, file: True)
    return fake


def unchanged(repo: Repo) -> list[str]:
    repo._reset()
    with repo.lock:
        return sorted(stage.name for stage in repo.index.stages if not stage.changed())


def test_a_stage_is_built_although_others_fail(repo: Repo, snakemake: SimpleNamespace) -> None:
    snakemake.failing = {"c", "e"}
    assert dvc_stage.main(["one", "a"]) == 0
    assert snakemake.calls == [(["a", "b", "c", "d", "e"], "--keep-going")]
    assert unchanged(repo) == ["other", "second"]


def test_a_stage_that_fails_beside_others_is_not_tried_again(repo: Repo, snakemake: SimpleNamespace) -> None:
    snakemake.failing = {"a", "d"}
    assert dvc_stage.main(["one", "a"]) == 1
    assert [options for _, *options in snakemake.calls] == [["--keep-going"], ["--dry-run", "--quiet", "all"]]
    assert unchanged(repo) == ["alone", "both", "other"]


def test_what_waited_is_built_when_what_it_waits_for_is_there(repo: Repo, snakemake: SimpleNamespace) -> None:
    build(repo, *STAGES)
    Path(CODE).write_text("y")
    with rwlock(repo.tmp_dir, repo.fs, "dvc repro", [], [str(Path("a").resolve())], False):
        assert dvc_stage.main(["one", "a"]) == 0
    assert snakemake.calls == [(["a", "b", "c"], "--keep-going"), (["d", "e"], "--keep-going")]
    assert unchanged(repo) == ["alone", "both", "other", "second"]


def test_what_waited_is_not_built_if_nothing_has_changed(repo: Repo, snakemake: SimpleNamespace) -> None:
    build(repo, *STAGES)
    assert dvc_stage.main(["one", "a"]) == 0  # DVC was asked for all, and a has the same content again
    assert snakemake.calls == [(["a"],)]


def test_ctrl_c_waits_until_snakemake_has_ended_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def call(wanted: Sequence[Wanted], preset: str | None, *options: str) -> list[str]:
        return [sys.executable, "-c", SLOW_TO_END]

    monkeypatch.setattr(dvc_stage, "snakemake_call", call)
    assert dvc_stage.snakemake([Wanted("one", "a")], None) == 130
    assert Path("ended").exists()


def test_ctrl_c_keeps_what_was_built_and_ends_without_a_further_call(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, snakemake: SimpleNamespace
) -> None:
    build_all = dvc_stage.snakemake
    monkeypatch.setattr(dvc_stage, "snakemake", lambda *given: build_all(*given) and 130)
    snakemake.failing = {"d", "e"}
    assert dvc_stage.main(["one", "a"]) == 130
    assert len(snakemake.calls) == 1 and unchanged(repo) == ["alone", "other"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("dvc repro", True),
        ("/usr/bin/python3 /home/me/.venv/bin/dvc repro splits", True),
        ("python -m dvc repro", True),
        ("xargs dvc repro", False),
        ("/usr/bin/time dvc repro", False),
        ("python -m engines.dvc_stage text build/text", False),
        ("", False),
    ],
)
def test_what_a_wrapper_was_given_is_not_what_dvc_was_given(line: str, found: bool) -> None:
    assert dvc_stage._is_dvc(line.split()) is found
