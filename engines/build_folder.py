"""The folder of a build: may this user write there, is the other engine at work, what do times hide?"""

import atexit
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from engines.pipeline import Pipeline
from signloom.disk import disk_error
from signloom.errors import SignloomError
from signloom.features.backbones.registry import misfits
from signloom.files import file_sha256, write_text
from signloom.params.inputs import missing_inputs, reads_windows

PRODUCTS = {"build", "metrics"}
_INPUTS = Path(".snakemake/signloom_inputs.json")
_LEAST_FREE = 1 << 20  # bytes; Snakemake writes some kilobytes before the first job


def demand_writable(*places: Path) -> None:
    """Raise SignloomError for a folder that this user can neither write nor make."""
    for place in places:
        if place.is_symlink() and not place.exists():
            raise SignloomError(
                f"{place} is a link to {place.readlink()}, which is not there; make that folder, or connect "
                "its disk"
            )
        folder = place if place.exists() else place.absolute().parent
        # another build may have removed it meanwhile
        if not os.access(folder, os.W_OK | os.X_OK) and folder.exists():
            raise SignloomError(
                f"{folder.absolute()}: user {os.geteuid()} may not write there; build in a clone of your "
                "own, or ask the owner for the right to write to the folder and all that it holds"
            )


def folders_of(rules: Iterable[Any]) -> list[Path]:
    """Return the folders of products in which jobs of `rules` write, each as far as its name has no wildcard.

    Others below `build` may be shut: `lost+found` of a disk of its own, or a finished build that is kept. So
    may those of a workflow that has this one as a module.
    """
    files = {str(file) for rule in rules for file in (*rule.output, *rule.log, rule.benchmark or "")}
    folders = {Path(file.partition("{")[0].rpartition("/")[0]) for file in files}
    return sorted(folder for folder in folders if folder.parts[:1] and folder.parts[0] in PRODUCTS)


def demand_no_brace(project: Path) -> None:
    """Raise SignloomError for a project whose path has a brace, which Snakemake reads as its own."""
    if set(str(project)) & {*"{}"}:
        raise SignloomError(
            f"{project}: Snakemake cannot work in a folder with a brace in its path; rename the folder"
        )


def demand_no_prefix(renamed: Callable[[str], str]) -> None:
    """Raise SignloomError if a module that uses this workflow has `renamed` its products."""
    for folder in sorted(PRODUCTS):
        if renamed(f"{folder}/a") != f"{folder}/a":
            raise SignloomError(
                "this workflow names its products itself; take `prefix` and `replace_prefix` out of the "
                "module, and start Snakemake with --directory FOLDER, or --config preset=NAME for build/NAME"
            )


def demand_inputs(flow: Pipeline) -> None:
    """Raise SignloomError for a file that is named and read and not there, and for what no network takes.

    Snakemake takes the products of an earlier build for given if their inputs are gone.
    """
    for said in missing_inputs(flow.params):
        raise SignloomError(said)
    for said in misfits(flow.params.clip_features) if reads_windows(flow.params) else ():
        raise SignloomError(said)


def notice_replaced(rules: Iterable[Any]) -> list[str]:
    """Give inputs of `rules` that were replaced by files with an older time that of now; return warnings.

    Snakemake compares contents only where an input is newer than the product, and `rsync` and archives keep
    the times of what they bring. Products are left alone, and so are local copies of objects in a store.
    """
    inputs = {str(item) for rule in rules for item in rule.input if not callable(item)}
    apart = PRODUCTS | {_INPUTS.parts[0]}
    paths = sorted(path for path in inputs if "{" not in path and Path(path).parts[0] not in apart)
    known, warnings, now = _known_inputs(), [], time.time_ns()
    looked, files = known.get("looked", now), known.get("files", {})
    for path in paths:
        mark, digest = mark_of(path), files.get(path, [None, ""])[1]
        if not mark or files.get(path, [None])[0] == mark:
            continue
        new = file_sha256(Path(path)) if Path(path).is_file() else ""
        if digest not in ("", new) and mark[0] < looked:
            if not os.access(path, os.W_OK):
                warnings.append(f"{path} was replaced by a file with an older time; `touch` it")
                continue
            os.utime(path)
        files[path] = [mark_of(path), new]
    if _INPUTS.parent.is_dir():
        write_text(_INPUTS, json.dumps({"looked": now, "files": files}))
    return warnings


def _known_inputs() -> dict[str, Any]:
    """Return the inputs at the last look and its time: a shortcut only, so a damaged file counts as none."""
    with suppress(OSError, ValueError):
        known = json.loads(_INPUTS.read_text("utf-8"))
        return known if isinstance(known, dict) else {}
    return {}


def mark_of(path: str) -> list[int]:
    """Return what changes if a file is replaced: its time, its size and its inode; nothing if it is gone."""
    try:
        s = os.stat(path)  # noqa: PTH116, a Path for each of many files takes longer than the call
    except OSError:
        return []
    return [s.st_mtime_ns, s.st_size, s.st_ino]


def demand_space(own: Path) -> None:
    """Raise SignloomError if the disk is full for temporary files, or for Snakemake's folder `own`."""
    folder = Path(os.environ.get("TMPDIR", "/tmp"))  # whatever else Python would find
    if folder.exists() and _is_full(folder):
        raise SignloomError(
            f"{folder}: no space left on the disk for temporary files; "
            "free some, or set TMPDIR to a folder that has space"
        )
    place = own if own.exists() else own.absolute().parent
    if _is_full(place):
        raise SignloomError(
            f"{place.absolute()}: no space left on the disk; free some and start again, finished work is kept"
        )


def _is_full(folder: Path) -> bool:
    usage = shutil.disk_usage(folder)
    return usage.free < _LEAST_FREE and usage.total > 0  # some file systems do not say: all is 0


def bring_to_now(paths: Iterable[str]) -> list[str]:
    """Give files below the working folder whose time lies ahead the time of now; return lines about others.

    Where a clock went back, earlier products lie ahead of it, and Snakemake ends each job that reads one with
    an error after its work is done. Contents and not times decide what runs again, so nothing else changes.
    """
    warnings, now = [], time.time()
    for path in map(Path, sorted(set(paths))):
        if not path.exists() or path.stat().st_mtime <= now:
            continue
        if PRODUCTS & set(path.parts[:1]) and os.access(path, os.W_OK):
            os.utime(path)
        else:
            warnings.append(f"the time of {path} lies ahead of this machine's clock; `touch` it")
    return warnings


def hold(reads: Iterable[str], writes: Iterable[str]) -> ExitStack:
    """Hold DVC's lock on paths below the working folder until the process ends or the result is closed.

    DVC deletes the outputs of a stage before it starts the stage's command. Snakemake's own lock, which that
    command meets, comes too late: the other build would lack a product that it had made. Nothing is held
    without a repository of DVC, nor in a stage that DVC runs, because DVC has locked that. A process that
    was killed holds nothing, because DVC passes over processes that are gone. Raises SignloomError if DVC is
    at work on these files.
    """
    held = ExitStack()
    # as `dvc.env.DVC_STAGE`; importing DVC takes half a second
    if "DVC_STAGE" in os.environ:
        return held
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.rwlock import RWLockFileCorruptedError, rwlock

    here, command = Path().resolve(), " ".join(["snakemake", *sys.argv[1:]])
    read, write = ([str(here / path) for path in sorted(set(paths))] for paths in (reads, writes))
    try:
        with Repo() as repo:
            hardlink = repo.config["core"].get("hardlink_lock", False)
            held.enter_context(rwlock(repo.tmp_dir, repo.fs, command, read, write, hardlink))
    except NotDvcRepoError:
        return held
    except RWLockFileCorruptedError as error:
        raise SignloomError(f"{error}; remove this file when no engine runs") from error
    except DvcException as error:
        # DVC says on several lines which process it is, and what to do if there is none
        raise SignloomError(" ".join(str(error).split())) from error
    except OSError as error:
        raise disk_error(error, "DVC's lock of files", Path(".dvc")) or error from error
    atexit.register(_release, held)
    return held


def _release(held: ExitStack) -> None:
    """Let go of DVC's lock at the end; name the loss if another process has taken it meanwhile."""
    try:
        held.close()
    except AssertionError:  # so says DVC of an entry that is gone
        print(
            "error: a DVC of another machine has taken the lock of these files, and may have deleted "
            "products; build on one machine at a time, and build again",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)
