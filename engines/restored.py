"""Tell Snakemake which products DVC has put back, so that it does not build them again.

DVC restores products of earlier parameters from its cache without a job. Snakemake's records then still name
the parameters of the last job, and it takes what it has no record of for current. So it is told what DVC
holds for unchanged, and builds the other products that are not what their last job wrote.
"""

import argparse
import base64
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from engines import code_digests
from engines.build_folder import mark_of
from engines.dvc_files import locked_of, target
from engines.dvc_stage import Wanted, is_old, snakemake_call, wanted_by
from signloom.errors import SignloomError
from signloom.files import file_sha256, write_text
from signloom.preset_names import folder_of
from signloom.products import BUILD, Build, Made

# set where the workflow is only read, and in the call that tells Snakemake
_READ_ONLY = "SIGNLOOM_READS_WORKFLOW"
_LONGEST = 254  # characters of a name, as Snakemake cuts it
_KNOWN = Path(".snakemake/signloom_dvc")


@contextmanager
def read_only() -> Iterator[None]:
    """Let `follow` do nothing meanwhile."""
    before = os.environ.get(_READ_ONLY)
    os.environ[_READ_ONLY] = "1"
    try:
        yield
    finally:
        os.environ.pop(_READ_ONLY) if before is None else os.environ.update({_READ_ONLY: before})


def is_read_only() -> bool:
    """Return whether the workflow is only read now."""
    return _READ_ONLY in os.environ


def follow(preset: str, table_digest: Callable[[Any], str]) -> None:
    """Record in Snakemake what DVC holds for unchanged, if dvc.lock or products are others since last time.

    `preset` has the presets as `--config preset=` names them. `table_digest` returns "" for a table that
    cannot be built from: DVC does not see that a consent has ended.
    """
    lock, known = _files(preset)
    if {_READ_ONLY, "DVC_STAGE"} & set(os.environ) or not BUILD.exists():
        return
    if not (lock.exists() and lock.with_suffix(".yaml").exists()):
        return
    if _is_known(known):
        return
    if not table_digest(None):
        return
    # what an old dvc.yaml does not name, DVC cannot find changed
    if is_old(preset):
        print(
            f"note: {lock.with_suffix('.yaml')} is old, so it says nothing here; run make dvc",
            file=sys.stderr,
        )
        remember(preset)
        return
    _tell(preset)  # what it returns, another process at work, is tried again at the next start


def remember(preset: str) -> None:
    """Note that Snakemake knows of all products as they are, and of what dvc.lock has now."""
    lock, known = _files(preset)
    outputs = [out["path"] for stage in locked_of(preset or None).values() for out in stage.get("outs", [])]
    # the times, because DVC may go back to what a file had before; dvc.yaml, because it may have been old
    marks = {path: mark_of(path) for path in [str(lock), str(lock.with_suffix(".yaml")), *outputs]}
    write_text(known, json.dumps(marks))


def _files(preset: str) -> tuple[Path, Path]:
    return target(Path(), preset or None).with_name("dvc.lock"), _KNOWN / f"{preset or 'demo'}.json"


def _is_known(known: Path) -> bool:
    """Return whether all files are those of the last `remember`; a damaged note of it counts as none."""
    with suppress(OSError, ValueError):
        return all(mark_of(path) == mark for path, mark in json.loads(known.read_bytes()).items())
    return False


def _tell(preset: str) -> str:
    """Let Snakemake know which products are current and which are not; return why it could not, else ""."""
    found = asked(target(Path(), preset or None))
    if found is None:
        return "another DVC is at work; wait for it, and run this again"
    if said := _touch([stage.wanted for stage in found if stage.same], preset):
        return said
    jobs = Build(folder_of(preset)).jobs
    for stage in found:
        outputs = [path for path in stage.outputs if Path(path).is_file()]
        if stage.changed and any(_has_no_record(path) or not _is_as_made(path, jobs) for path in outputs):
            write_text(_record("incomplete", stage.wanted.output), '{"external_jobid": null}')
    remember(preset)
    return ""


def _is_as_made(path: str, jobs: Mapping[str, Sequence[Made]]) -> bool:
    """Return whether a file is what the last job wrote there."""
    return file_sha256(Path(path)) in [made.digest for made in jobs.get(path, ())]


class Asked(NamedTuple):
    """What a stage builds: whether it has changed for DVC, or is the same with all it needs; its outputs."""

    wanted: Wanted
    changed: bool
    same: bool
    outputs: list[str]


def asked(file: Path) -> list[Asked] | None:
    """Return what DVC says of the stages of the dvc.yaml `file`; None if another DVC process is at work."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from networkx import dfs_postorder_nodes

    logging.getLogger("dvc").setLevel(logging.ERROR)
    changed: dict[Any, bool] = {}
    same: set[Any] = set()
    try:
        with Repo() as repo, repo.lock:
            graph = repo.index.graph
            for stage in dfs_postorder_nodes(graph):  # what a stage needs comes before it
                if stage.path_in_repo != file.as_posix():
                    continue
                # each stage's code is looked at by itself, not in the stage of all code
                code = [dep for dep in stage.deps if code_digests.is_digests(dep.def_path)]
                changed[stage] = stage.name != code_digests.STAGE and (
                    not all(map(code_digests.is_recorded, code)) or stage.changed()
                )
                if not changed[stage] and same >= set(graph[stage]):
                    same.add(stage)
    except NotDvcRepoError:
        return []
    except DvcException:
        return None
    here = Path().resolve()
    return [
        Asked(wanted, changed[stage], stage in same, [_below(here, out.fs_path) for out in stage.outs])
        for stage in changed
        if (wanted := wanted_by(stage))
    ]


def _below(here: Path, path: str) -> str:
    return Path(path).relative_to(here).as_posix()


def _touch(kept: Sequence[Wanted], preset: str) -> str:
    """Let Snakemake record products as up to date; return what it said if it could not, else "".

    They are those alone that it would build, and those that it has no record of.
    """
    if not kept:
        return ""
    # Snakemake would not build what has no record either, so it would never see a change of its parameters
    unknown = [output for _, output in kept if _has_no_record(output)]
    force = ["--forcerun", *unknown] if unknown else []
    call = snakemake_call(kept, preset, "--touch", "--quiet", "all", *force)
    with read_only():
        done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip() or "Snakemake failed" if done.returncode else ""


def forget_lost(workflow: Any, folder: Path) -> None:
    """Let the next build in `folder` make outputs, of jobs of `workflow` that did not finish, which are gone.

    Snakemake records the new parameters with what a failed job has written, and then removes that. Nothing
    would have changed any more, and what was made of the earlier inputs would count as up to date.
    """
    if workflow.scheduler is None or workflow.dryrun:
        return
    with chdir(folder):  # Snakemake has left it at its end
        for path in (str(path) for job in workflow.dag.needrun_jobs() for path in job.output):
            record = _record("metadata", path)
            if record.exists() and not Path(path).exists():
                write_text(record, json.dumps(json.loads(record.read_bytes()) | {"params": ["unfinished"]}))


def _has_no_record(output: str) -> bool:
    """Return whether Snakemake neither recorded how a product was made nor marked it as unfinished."""
    return not any(_record(kind, output).exists() for kind in ("metadata", "incomplete"))


def _record(kind: str, output: str) -> Path:
    """Return the file that Snakemake has of a product; a long name of one is cut into folders."""
    name = base64.urlsafe_b64encode(output.encode()).decode()
    pieces = [name[at : at + _LONGEST] for at in range(0, len(name), _LONGEST)]
    return Path(".snakemake", kind, *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Record in Snakemake what DVC holds for unchanged.")
    parser.add_argument("--preset", metavar="NAME", default="")
    preset = parser.parse_args(argv).preset
    try:
        said = _tell(preset)
    except SignloomError as error:
        said = str(error)
    if said:
        print(f"error: {said}", file=sys.stderr)
    return 2 if said else 0


if __name__ == "__main__":
    sys.exit(main())
