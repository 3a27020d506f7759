"""Search a project and its caches for traces of withdrawn clips."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from signloom.dataset.importers import annotation_sources
from signloom.dataset.reviewed import hash_start
from signloom.dataset.withdrawn import lists_of, withdrawn_from
from signloom.errors import PRESETS, SignloomError
from signloom.params.dataset import DatasetParams
from signloom.params.presets import load_presets
from signloom.progress import track
from signloom.withdrawal.builds import METRICS
from signloom.withdrawal.caches import DvcCache
from signloom.withdrawal.contents import contents
from signloom.withdrawal.git import git
from signloom.withdrawal.traces import SHORTEST, Traces, as_written
from signloom.withdrawal.walk import files_below

# programs and history, which no stage writes
_SKIPPED = {
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}
_PRODUCTS_IN_GIT = {METRICS.as_posix(), "dvc.lock"}


@dataclass(frozen=True)
class Searched:
    """What a search found: traces by file, sources that still name the clips, and how much was read."""

    traces: dict[Path, set[str]]
    aside: dict[Path, set[str]]
    files: int
    bytes: int


def fingerprint_files(dataset: DatasetParams) -> list[Path]:
    """Return the files of fingerprints beside the lists of withdrawn clips."""
    stores = [path.with_suffix(".npy") for path in lists_of(dataset.table)]
    return [store for store in stores if store.exists()]


def search(dataset: DatasetParams, cache: DvcCache | None, videos_left: bool) -> Searched:
    """Read every file of the project and its caches, and return what is left of withdrawn clips.

    Videos are not opened; they, tables and other files in git that are no products are `aside`. So is what
    DVC remembers of source videos by their paths, as long as there are any (`videos_left`).
    """
    stores = fingerprint_files(dataset)
    known = [np.load(store, allow_pickle=False) for store in stores]
    traces, weak = _traces(withdrawn_from(dataset.table), np.concatenate([np.zeros(0, np.uint64), *known]))
    places = [Path(), *([cache.folder] if cache and cache.is_shared else [])]
    places += [cache.site] if cache and cache.site else []
    shut_folders: list[str] = []
    videos = _videos_of_presets() | {Path(dataset.videos).resolve()}
    files = [file for place in places for file in _files(place, videos, shut_folders)]
    own, sources = {path.resolve() for path in (*lists_of(dataset.table), *stores)}, _sources(dataset)
    found: dict[Path, set[str]] = {}
    aside = {Path(folder): {"this folder cannot be read"} for folder in shut_folders}
    size = 0
    for file in track(files, "searching", unit="file"):
        if not file.is_file() or file.resolve() in own:
            continue
        size += file.stat().st_size
        what, shut = _by_path(file, traces, weak), set[str]()
        for content in contents(file):
            what |= traces.in_bytes(content.data) | {f"clip {clip}" for clip in content.clips & weak}
            shut |= {content.unread} - {""}
        if what:
            remembered = videos_left and cache and cache.site in file.parents and "rows" not in what
            (aside if remembered or file.resolve() in sources else found)[file] = what | shut
        elif shut:
            aside[file] = shut
    return Searched(found, aside, len(files), size)


def _traces(
    listed: pd.DataFrame, rows: np.ndarray[tuple[int], np.dtype[np.uint64]]
) -> tuple[Traces, set[str]]:
    """Return what is searched for, and the ids that are too short to be told from other text."""
    clips, hashes = sorted({*listed["clip_id"]} - {""}), sorted({*listed["video_hash"]} - {""})
    names = {form: f"clip {clip}" for clip in clips for form in as_written(clip) if len(form) >= SHORTEST}
    names |= {text.encode(): "video hash" for digest in hashes for text in (digest, hash_start(digest))}
    return Traces(names, rows), {clip for clip in clips if len(clip.encode()) < SHORTEST}


def _by_path(file: Path, traces: Traces, weak: set[str]) -> set[str]:
    """Return the clips that the name of a file is that of, such as landmarks that were exported."""
    names = file.with_suffix("").parts
    short = {clip for clip in weak if "/" in clip and names[-clip.count("/") - 1 :] == (*clip.split("/"),)}
    return traces.in_bytes(b"\n" + os.fsencode(file) + b"\n") | {f"clip {clip}" for clip in short}


def _videos_of_presets() -> set[Path]:
    """Return the folders of videos of all corpora of the project: sources, which are not opened."""
    found = set()
    for names in ([], *([file.stem] for file in sorted(PRESETS.glob("*.yaml")))):
        with suppress(SignloomError):  # a preset that cannot be used
            found.add(Path(load_presets(names).dataset.videos).resolve())
    return found


def _files(place: Path, videos: set[Path], shut: list[str]) -> Iterator[Path]:
    def enters(folder: Path) -> bool:
        programs = folder.parent == Path(".snakemake") and folder.name.startswith("conda")
        return not programs and folder.name not in _SKIPPED and not _is(folder, videos)

    return files_below(place, enters, lambda error: shut.append(str(error.filename)))


def _is(folder: Path, videos: set[Path]) -> bool:
    """Return whether `folder` is one of source videos, and not one that also holds the products."""
    return folder.resolve() in videos and not Path.cwd().is_relative_to(folder.resolve())


def _sources(dataset: DatasetParams) -> set[Path]:
    """Return the tables of the dataset, and all files in git that no stage writes."""
    known = annotation_sources(dataset.importer, Path(dataset.table))
    in_git = {Path(name) for name in git("ls-files", "-z").split("\0") if name}
    kept = {path for path in in_git if path.parts[0] not in _PRODUCTS_IN_GIT}
    named = [*known, *kept, *(Path(name) for name in (dataset.review,) if name)]
    return {path.resolve() for path in named}
