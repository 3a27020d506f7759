"""Tell Snakemake which products DVC has put back, so that it does not build them again.

DVC restores products of earlier parameters from its run cache without a job. Snakemake's records then still
name the parameters of the last job.
"""

import argparse
import base64
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engines import code_digests
from engines.dvc_files import target
from engines.dvc_stage import Wanted, is_old, snakemake_call, wanted_by
from signloom.files import write_text
from signloom.products import BUILD

# set where the workflow is only read, and in the call that tells Snakemake
_READ_ONLY = "SIGNLOOM_READS_WORKFLOW"
_LONGEST = 255  # bytes of a file's name
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
    """Record in Snakemake what DVC holds for unchanged, if DVC has written dvc.lock since the last time.

    `preset` has the presets as `--config preset=` names them. `table_digest` returns "" for a table that
    cannot be built from: DVC does not see that a consent has ended.
    """
    lock, known = _files(preset)
    if {_READ_ONLY, "DVC_STAGE"} & set(os.environ) or not BUILD.exists():
        return
    if not (lock.exists() and lock.with_suffix(".yaml").exists()):
        return
    if known.exists() and known.read_text("utf-8") == _written(lock):
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
    kept = unchanged(lock.with_suffix(".yaml"))
    if kept is not None and not _touch(kept, preset):  # else another process is at work
        remember(preset)


def remember(preset: str) -> None:
    """Note that Snakemake knows of all products that dvc.lock has now."""
    lock, known = _files(preset)
    write_text(known, _written(lock))


def _files(preset: str) -> tuple[Path, Path]:
    return target(Path(), preset or None).with_name("dvc.lock"), _KNOWN / f"{preset or 'demo'}.txt"


def _written(lock: Path) -> str:
    # the time, because DVC may go back to what the file had before; dvc.yaml, because it may have been old
    found = [path.stat() for path in (lock, lock.with_suffix(".yaml"))]
    return "".join(f"{status.st_size} {status.st_mtime_ns} {status.st_ino}\n" for status in found)


def unchanged(file: Path) -> list[Wanted] | None:
    """Return what those stages of the dvc.yaml `file` build that DVC holds for unchanged, with all they need.

    None if another DVC process is at work.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from networkx import dfs_postorder_nodes

    logging.getLogger("dvc").setLevel(logging.ERROR)
    found: dict[Any, Wanted | None] = {}
    try:
        with Repo() as repo, repo.lock:
            graph = repo.index.graph
            for stage in dfs_postorder_nodes(graph):  # what a stage needs comes before it
                if stage.path_in_repo != file.as_posix() or not found.keys() >= set(graph[stage]):
                    continue
                if stage.name == code_digests.STAGE:
                    found[stage] = None  # each stage's code is looked at below
                    continue
                code = [dep for dep in stage.deps if code_digests.is_digests(dep.def_path)]
                same = all(map(code_digests.is_recorded, code)) and not stage.changed()
                if same and (wanted := wanted_by(stage)):
                    found[stage] = wanted
    except NotDvcRepoError:
        return []
    except DvcException:
        return None
    return [wanted for wanted in found.values() if wanted]


def _touch(kept: Sequence[Wanted], preset: str) -> str:
    """Let Snakemake record products as up to date; return what it said if it could not, else "".

    They are those alone that it would build, and those that it has no record of.
    """
    if not kept:
        return ""
    # Snakemake would not build what has no record either, so it would never see a change of its parameters
    unknown = [output for _, output in kept if not _has_record(output)]
    force = ["--forcerun", *unknown] if unknown else []
    call = snakemake_call(kept, preset, "--touch", "--quiet", "all", *force)
    with read_only():
        done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip() or "Snakemake failed" if done.returncode else ""


def _has_record(output: str) -> bool:
    """Return whether Snakemake recorded how a product was made; a long name counts as none."""
    name = base64.urlsafe_b64encode(output.encode()).decode()
    return len(name) < _LONGEST and Path(".snakemake/metadata", name).exists()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Record in Snakemake what DVC holds for unchanged.")
    parser.add_argument("--preset", metavar="NAME", default="")
    preset = parser.parse_args(argv).preset
    kept = unchanged(target(Path(), preset or None))
    said = "another DVC is at work; wait for it, and run this again" if kept is None else _touch(kept, preset)
    if said:
        print(f"error: {said}", file=sys.stderr)
        return 2
    remember(preset)
    return 0


if __name__ == "__main__":
    sys.exit(main())
