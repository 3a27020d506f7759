"""The digests of a table's clips, computed again only where something that they are made of has changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, cast

import pandas as pd

from engines.import_closure import code_of
from engines.pipeline import Pipeline
from signloom.dataset.consent import allows, read_consent
from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import annotation_files, searched_folders
from signloom.dataset.manifest import shard_digests
from signloom.dataset.sources import Table, sources_digest
from signloom.dataset.splits import known_splits
from signloom.dataset.withdrawn import list_beside, lists_of
from signloom.errors import SignloomError
from signloom.files import hash_files, write_json
from signloom.params.schema import Params


class Digests(NamedTuple):
    """What decides whether the stages that read clips run again."""

    rows: str  # of the table and of all files that it names
    clips: dict[str, str]  # of each shard's clips
    folds: str = ""  # what is wrong with the folds of the runs

    @classmethod
    def of(cls, flow: Pipeline) -> Digests:
        """Return the digests of the table of `flow`, from the last time if nothing has changed.

        They are empty if the table cannot be read or a consent has ended; the stages that read the table say
        what is wrong with it.
        """
        store = Path(flow.product("scratch/table_digests.json"))
        known = _read(store)
        if known and known.get("state") == _state(flow, known["files"]):
            return cls(known["rows"], known["clips"], known["folds"])
        before = _state(flow, [])
        hashes = HashCache(Path(flow.product("scratch/video_hashes.json")))
        try:
            table = Table.read(flow.params.dataset, hashes)
        except SignloomError:
            return cls("", {})
        clips = _clips(table, flow.params.shards.count)
        found = cls(_rows(table), clips, wrong_folds(table.with_content(), flow.params))
        files = sorted({str(path) for path in table.paths} | {str(path) for path in table.sources.tables})
        state = _state(flow, files)
        # somebody may have saved the table or a video since it was read
        same = _state(flow, []) == before and hashes.hold()
        # a folder of frames changes without a change of its own status
        if found.rows and found.clips and same and not any(map(os.path.isdir, files)):
            write_json(store, {"state": state, "files": files, **found._asdict()})
        return found


def wrong_folds(rows: pd.DataFrame, params: Params) -> str:
    """Return why the table cannot have the folds of the runs, as far as its rows alone show it, or "".

    `rows` needs `signer_id, split, consent, content`; a row without content has no file. Stage `splits`,
    which would say it too, comes after hours of landmarks.
    """
    runs, folds = params.runs, params.runs.folds
    # what a review sets aside is not known yet
    there = rows[(rows["content"] != "") & rows["consent"].map(_trains) & (params.dataset.review is None)]
    if folds and runs.fold_by == "signer":
        signers = {str(name).strip() for name in rows["signer_id"]} - {""}
        # a signer who is not named may be right: all clips of one may be rejected later
        for name in folds:
            if name not in signers:
                return f"runs.folds: no clip of the table has the signer {name!r}; expected {sorted(signers)}"
    if folds and runs.fold_by == "clip" and (own := int((known_splits(there) == "val").sum())):
        return (
            f"runs.fold_by: clip, but the table has {own} val clips of its own; set runs.folds to [], or "
            "take them out of the table"
        )
    if runs.fold_by in ("clip", "part") and len(folds) > len(rows):
        return f"runs.folds: {len(folds)} folds of {len(rows)} clips; name at most {len(rows)}"
    return ""


def _trains(consent: str) -> bool:
    """Return whether a clip with this cell is trained on; stage `manifest` rejects what is no consent."""
    try:
        return allows(read_consent(consent), "train")
    except ValueError:
        return False


def _rows(table: Table) -> str:
    try:
        return sources_digest(table)
    except SignloomError:
        return ""


def _clips(table: Table, count: int) -> dict[str, str]:
    try:
        return shard_digests(table, count)
    except SignloomError:
        return {}


def _read(store: Path) -> dict[str, Any] | None:
    try:
        return cast(dict[str, Any], json.loads(store.read_text("utf-8")))
    except (FileNotFoundError, ValueError):
        return None


def _state(flow: Pipeline, files: list[str]) -> str:
    """Return a digest of the code, the parameters, the day, and the status of all files and their folders."""
    dataset = flow.params.dataset
    named = [dataset.table, dataset.review, dataset.variations, dataset.importer, dataset.videos]
    folders = {str(Path(file).parent) for file in files}
    try:
        annotations = annotation_files(dataset.importer, Path(dataset.table))
        searched = searched_folders(dataset.importer, Path(dataset.videos))
    except SignloomError:
        annotations, searched = [], []
    code = hash_files(Path(path) for stage in ("sources", "manifest") for path in code_of(stage))
    given = [dataset.model_dump_json(), flow.params.runs.model_dump_json(), str(flow.params.shards.count)]
    parts = [code, *given, date.today().isoformat()]
    watched = [
        *map(str, [*annotations, *searched, list_beside(dataset.table), *lists_of(dataset.table)]),
        *sorted(folders),
        *files,
        *(str(path) for path in named if path),
    ]
    return hashlib.sha256("\n".join([*parts, *_statuses(watched)]).encode()).hexdigest()


def _statuses(paths: Iterable[str]) -> Iterable[str]:
    for path in paths:
        try:
            s = os.stat(path)  # noqa: PTH116, a Path for each of many files takes longer than the call
        except OSError as error:
            yield f"{path} {error.errno}"
        else:
            yield f"{path} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino} {s.st_dev} {s.st_mode}"
