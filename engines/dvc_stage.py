"""Build the output of a DVC stage with Snakemake, and with it what DVC would build next.

python -m engines.dvc_stage [--preset NAME] RULE OUTPUT

DVC runs one stage after the other, and every start of Snakemake takes seconds. If `dvc repro` was asked for
everything, all stages that it would run for certain are built at once: those that have changed, while nothing
that they depend on has. They are recorded in DVC's run cache, from which DVC takes them when their turn
comes.
"""

import argparse
import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from signloom.params.presets import PRESETS

_MODULE = "engines.dvc_stage"
# options that do not change which stages DVC runs
_WITH_VALUE = {"-S", "--set-param", "-n", "--name", "-m", "--message"}
_HARMLESS = {"-q", "--quiet", "-v", "-vv", "--verbose", "-k", "--keep-going"}


class Wanted(NamedTuple):
    """What the command of a stage builds."""

    rule: str
    output: str


def target(root: Path, preset: str | None) -> Path:
    """Return the path of the dvc.yaml of `preset`."""
    return root / (PRESETS / preset.replace(",", "-") / "dvc.yaml" if preset else Path("dvc.yaml"))


def command(preset: str, rule: str, output: str) -> str:
    """Return the command of a stage."""
    options = ["--preset", preset] if preset else []
    return " ".join(["python", "-m", _MODULE, *options, rule, output])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", metavar="NAME")
    parser.add_argument("rule")
    parser.add_argument("output")
    args = parser.parse_args(argv)
    own, file = Wanted(args.rule, args.output), target(Path(), args.preset).as_posix()
    if any(asks_for_all(words, file) for words in _parents()):
        return _build_with_others(own, file, args.preset)
    return snakemake([own], args.preset)


def _parents() -> list[list[str]]:
    """Return the command lines of the processes above this one; none where they may not be read."""
    try:
        return [process.cmdline() for process in psutil.Process().parents()]
    except psutil.Error:
        return []


def asks_for_all(words: Sequence[str], file: str) -> bool:
    """Return whether a command line is `dvc repro` or `dvc exp run` for all stages of the dvc.yaml `file`."""
    verb = next((verb for verb in ("repro", "run") if verb in words), None)
    if verb is None:
        return False
    place = list(words).index(verb)
    before, rest = list(words[:place]), [word.removeprefix("./") for word in words[place + 1 :]]
    for option in _WITH_VALUE.intersection(rest):
        while option in rest:
            at = rest.index(option)
            del rest[at : at + 2]
    named = any(Path(word).name == "dvc" for word in before) and (verb == "repro" or before[-1] == "exp")
    whole = file in rest or file == "dvc.yaml"
    return named and whole and set(rest) <= _HARMLESS | {file}


def snakemake(wanted: Sequence[Wanted], preset: str | None, *options: str) -> int:
    """Build `wanted` with no rules but theirs, and return the exit status."""
    return subprocess.run(snakemake_call(wanted, preset, *options)).returncode


def snakemake_call(wanted: Sequence[Wanted], preset: str | None, *options: str) -> list[str]:
    """Return the call of Snakemake for `wanted`, with no rules but theirs."""
    call = [sys.executable, "-m", "snakemake", *(["--config", f"preset={preset}"] if preset else [])]
    rules = sorted({rule for rule, _ in wanted})
    return [
        *(*call, "--cores", "all", *options, "--allowed-rules", *rules, "--"),
        *(output for _, output in wanted),
    ]


def _build_with_others(own: Wanted, file: str, preset: str | None) -> int:
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)  # what it finds changed, it says again by itself
    with Repo() as repo:
        with repo.lock:
            others = changed_beside(repo, own, file)
        with _held(repo, others):
            started = time.time()
            status = snakemake([own, *map(wanted_by, others)], preset, *(["--keep-going"] if others else []))
            if not others:
                return status
            with repo.lock:
                record([stage for stage in others if built_since(stage, started)])
    # where another stage failed, DVC meets the error when its turn comes
    return snakemake([own], preset) if status else 0


def changed_beside(repo: Any, own: Wanted, file: str) -> list[Any]:
    """Return the stages of the dvc.yaml `file` beside `own` that have changed, while what they need has not.

    A stage is left out if it needs an output of a rule that is to be built too: Snakemake may think other
    outputs of that rule stale.
    """
    from networkx import dfs_postorder_nodes

    graph, found = repo.index.graph, []
    unsure: set[Any] = set()
    for stage in dfs_postorder_nodes(graph):  # what a stage needs comes before it
        wanted = wanted_by(stage)
        if wanted == own or unsure.intersection(graph.successors(stage)):
            unsure.add(stage)
        elif stage.path_in_repo == file and wanted and stage.changed():
            unsure.add(stage)
            found.append(stage)
    rules = {own.rule, *(wanted_by(stage).rule for stage in found)}
    return [
        stage
        for stage in found
        if not rules & {getattr(wanted_by(need), "rule", "") for need in graph.successors(stage)}
    ]


def wanted_by(stage: Any) -> Any:
    """Return what the command of `stage` builds; None for stages that are not the pipeline's."""
    words = shlex.split(stage.cmd or "", comments=True)
    return Wanted(*words[-2:]) if _MODULE in words else None


def built_since(stage: Any, started: float) -> bool:
    """Return whether every output of `stage` was written after `started`, so by this build."""
    files = [Path(out.fs_path) for out in stage.outs]
    return all(file.exists() and file.stat().st_mtime >= int(started) for file in files)


def record(stages: Sequence[Any]) -> None:
    """Put outputs into DVC's cache, and what they were made of into its run cache and dvc.lock."""
    for stage in stages:
        stage.save()
        stage.commit()
    for file in {stage.dvcfile for stage in stages}:
        file.dump_stages([stage for stage in stages if stage.dvcfile == file], update_pipeline=False)


@contextmanager
def _held(repo: Any, stages: Sequence[Any]) -> Iterator[None]:
    """Keep other DVC processes off the outputs of `stages`, as DVC does for the stage that it runs."""
    from dvc.rwlock import rwlock

    paths = [out.fs_path for stage in stages for out in stage.outs]
    hardlink = repo.config["core"].get("hardlink_lock", False)
    # the name under which DVC locks below, which must not wait for itself
    with rwlock(repo.tmp_dir, repo.fs, " ".join(sys.argv), [], paths, hardlink):
        yield


if __name__ == "__main__":
    sys.exit(main())
