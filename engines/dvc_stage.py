"""Build the output of a DVC stage with Snakemake, and with it what DVC would build next.

python -m engines.dvc_stage [--preset NAME] RULE OUTPUT

DVC runs one stage after the other, and every start of Snakemake takes seconds. If `dvc repro` was asked for
everything, the first stage that it runs builds all others too: at once, where a changed parameter or input
says that their inputs change; else in turn, because a stage that writes the same again stops the chain. They
are recorded in DVC's run cache, from which DVC takes them when their turn comes.
"""

import argparse
import logging
import shlex
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from engines.code_digests import is_current, is_digests
from engines.dvc_files import stages_of, target

_MODULE = "engines.dvc_stage"
_CODE_CHANGED = 2
_INTERRUPTED = 130  # as shells count Ctrl-C
# options that do not change which stages DVC runs
_WITH_VALUE = {"-S", "--set-param", "-n", "--name", "-m", "--message"}
_HARMLESS = {"-q", "--quiet", "-v", "-vv", "--verbose", "-k", "--keep-going"}


# the stages that run if a preset or the number of shards changes, and with them perhaps the list of stages
CHECKED = ("sources", "manifest")


class Wanted(NamedTuple):
    """What the command of a stage builds."""

    rule: str
    output: str


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
    # the nearest one: what stands above it may have been given its targets in another way
    called = next((words for words in _parents() if _is_dvc(words)), [])
    all_asked = asks_for_all(called, file)
    # a build of everything comes here once or twice, because DVC takes what else is built from its run cache
    if (all_asked or own.rule in CHECKED) and say_if_old(args.preset):
        return 2
    if not _has_its_code(own, args.preset):
        return _CODE_CHANGED
    code = _build_or_say(own, file, args.preset) if all_asked else snakemake([own], args.preset)
    if not code and not _has_its_code(own, args.preset):
        return _CODE_CHANGED
    if code and not all_asked:
        say_if_old(args.preset)
    return code


def _has_its_code(own: Wanted, preset: str | None) -> bool:
    """Return whether DVC's stage `code` has seen the code of a stage; say so if it has not.

    What other code has made must not be recorded under these digests.
    """
    stages = stages_of(preset).values()
    mine = [stage for stage in stages if own.rule in shlex.split(stage["cmd"], comments=True)]
    digests = {dep for stage in mine for dep in stage.get("deps", []) if is_digests(dep)}
    if all(map(is_current, digests)):
        return True
    print(
        f"error: the code of {own.rule} has changed since DVC's stage code ran; run dvc repro again",
        file=sys.stderr,
    )
    return False


def say_if_old(preset: str | None) -> bool:
    """Return whether the dvc.yaml of `preset` is old, and say so if it is."""
    if old := is_old(preset):
        given = f" PRESET={preset}" if preset else ""
        file = target(Path(), preset).as_posix()
        print(
            f"error: {file} is not what the rules give now; run make dvc{given}, and again", file=sys.stderr
        )
    return old


def is_old(preset: str | None) -> bool:
    """Return whether the stages in the dvc.yaml of `preset` differ from what rules and parameters give.

    A list of seeds that grows adds plots, and stages by itself: their list stands in params.yaml.
    """
    options = ["--check", "--stages", *(["--preset", preset] if preset else [])]
    check = [sys.executable, "-m", "engines.dvc_yaml", *options]
    done = subprocess.run(check, capture_output=True, text=True)
    # without a difference, the rules could not be read, and Snakemake says why
    return done.returncode != 0 and bool(done.stdout)


def _parents() -> list[list[str]]:
    """Return the command lines of the processes above this one; none where they may not be read."""
    try:
        return [process.cmdline() for process in psutil.Process().parents()]
    except psutil.Error:
        return []


def _is_dvc(words: Sequence[str]) -> bool:
    """Return whether a command line runs DVC, by itself, as a script of Python or as its module."""
    first = [Path(word).name for word in words[:1]] + [Path(word).name for word in words[1:3]]
    return first[:1] == ["dvc"] or ("python" in "".join(first[:1]) and "dvc" in first[1:])


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
    """Build `wanted` with no rules but theirs, and return the exit status.

    Ctrl-C reaches Snakemake too. It is waited for: it ends its jobs, and only then gives up its lock.
    """
    interrupted = False
    with subprocess.Popen(snakemake_call(wanted, preset, *options)) as process:
        while process.returncode is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                interrupted = True
    return _INTERRUPTED if interrupted else process.returncode


def snakemake_call(wanted: Sequence[Wanted], preset: str | None, *options: str) -> list[str]:
    """Return the call of Snakemake for `wanted`, with no rules but theirs."""
    call = [sys.executable, "-m", "snakemake", *(["--config", f"preset={preset}"] if preset else [])]
    rules = sorted({rule for rule, _ in wanted})
    return [
        *(*call, "--cores", "all", *options, "--allowed-rules", *rules, "--"),
        *(output for _, output in wanted),
    ]


def _build_or_say(own: Wanted, file: str, preset: str | None) -> int:
    from dvc.exceptions import DvcException

    try:
        return _build_with_others(own, file, preset)
    except DvcException as error:  # a job of a DVC that was killed may still hold its outputs
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _build_with_others(own: Wanted, file: str, preset: str | None) -> int:
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)  # what it finds changed, it says again by itself
    built: set[Wanted] = set()
    with Repo() as repo:
        while True:
            with repo.lock:
                stages, waiting = next_stages(repo, own, file, built)
            wanted = [wanted_by(stage) for stage in stages]
            if not wanted:  # all that waited stays as it is
                return 0
            with _held(repo, [stage for stage in stages if wanted_by(stage) != own]):
                started = time.time()
                status = snakemake(wanted, preset, *(["--keep-going"] if len(wanted) > 1 else []))
                done = {wanted_by(stage): stage for stage in stages if built_since(stage, started)}
                with repo.lock:
                    others = [stage for what, stage in done.items() if what != own]
                    record([stage for stage in others if _code_is_current(stage)])
            built.update(wanted)
            if status == _INTERRUPTED:
                return status
            if status and own in wanted:
                return _status_of(own, own in done, wanted, preset, status)
            if status or not waiting:  # the error of another stage comes when its turn does
                return 0


def _status_of(own: Wanted, done: bool, wanted: Sequence[Wanted], preset: str | None, status: int) -> int:
    """Return the exit status of `own` after a call for `wanted` that failed."""
    if done:
        return 0
    # if Snakemake refused something else before the first job, `own` was not tried
    tried = len(wanted) == 1 or snakemake(wanted, preset, "--dry-run", "--quiet", "all") == 0
    return status if tried else snakemake([own], preset)


def next_stages(repo: Any, own: Wanted, file: str, built: Collection[Wanted] = ()) -> tuple[list[Any], bool]:
    """Return the stages of the dvc.yaml `file` to build now, and whether others may have to wait for them.

    Those are `own`, unless it is in `built` (what this call of DVC has built), the stages that have changed,
    those that need what is built now and will certainly differ, and those whose outputs are lost.
    """
    from networkx import dfs_postorder_nodes

    graph = repo.index.graph
    new: dict[Any, bool] = {}  # what is built now, and whether it will certainly differ
    waiting: set[Any] = set()
    for stage in dfs_postorder_nodes(graph):  # what a stage needs comes before it
        wanted, needs = wanted_by(stage), set(graph.successors(stage))
        if wanted in built or stage.path_in_repo != file:
            continue
        follows = any(new.get(need) for need in needs)
        if wanted == own:
            new[stage] = certainly_differs(stage)
        elif waiting & needs:
            waiting.add(stage)
        elif follows or _lost(stage) or (not new.keys() & needs and _changed(stage)):
            if wanted is None:
                waiting.add(stage)
            else:
                new[stage] = follows or certainly_differs(stage)
        elif new.keys() & needs:
            waiting.add(stage)
    kept = _with_rules_apart(graph, new, own)
    return kept, bool(waiting) or len(kept) < len(new)


def _with_rules_apart(graph: Any, stages: Collection[Any], own: Wanted) -> list[Any]:
    """Return `stages` without those that need an output which is not built now, of a rule that is.

    Snakemake could think that output stale, and build what DVC holds for unchanged.
    """
    rules = {wanted_by(stage).rule for stage in stages}
    kept: list[Any] = []
    for stage in stages:
        others = [wanted_by(need) for need in graph.successors(stage) if need not in kept]
        if wanted_by(stage) == own or not rules & {need.rule for need in others if need}:
            kept.append(stage)
    return kept


def certainly_differs(stage: Any) -> bool:
    """Return whether `stage` was never built, or something beside its code and its command has changed."""
    data = [dep for dep in stage.deps if not is_digests(dep.def_path) and dep.exists]
    return not any(dep.hash_info for dep in stage.deps) or any(dep.status() for dep in data)


def _code_is_current(stage: Any) -> bool:
    """Return whether nobody has edited the code of a stage since DVC's stage `code` ran."""
    return all(is_current(dep.def_path) for dep in stage.deps if is_digests(dep.def_path))


def _changed(stage: Any) -> bool:
    """Return `stage.changed()`, which by itself would wait for the end of the stage that DVC runs."""
    return stage.changed_stage() or any(entry.status() for entry in [*stage.deps, *stage.outs])


def _lost(stage: Any) -> bool:
    """Return whether an output is neither in its place nor in DVC's cache."""
    return any(not out.exists and out.changed_cache() for out in stage.outs)


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
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
