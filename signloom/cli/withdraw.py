"""`signloom withdraw`: take signers or clips out of the project, and prove that nothing is left of them."""

import difflib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from signloom.console import number_of
from signloom.dataset.clip_ids import clip_ids
from signloom.dataset.consent import has_ended
from signloom.dataset.forms.table_files import read_table, without_rows
from signloom.dataset.forms.texts import one_name, spelled
from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import all_rows
from signloom.dataset.sources import Sources
from signloom.dataset.withdrawn import add_withdrawn, are_withdrawn, list_beside, withdrawn_from
from signloom.errors import PRESETS, SignloomError
from signloom.files import atomic, write_npy
from signloom.params.dataset import DatasetParams
from signloom.params.presets import load_presets
from signloom.preset_names import presets_of
from signloom.withdrawal.beside import beside
from signloom.withdrawal.builds import BUILD, Build, find_builds, refuse_engine, refuse_jobs, remove
from signloom.withdrawal.caches import DvcCache, find_stores, forget_records, forget_state
from signloom.withdrawal.git import git
from signloom.withdrawal.search import search
from signloom.withdrawal.walk import files_below

_TEXT_TABLES = (".csv", ".tsv")
_SHOWN = 10


@dataclass(frozen=True)
class Asked:
    """What a user wants withdrawn: rows of the table with their clips and contents, and whole signers."""

    rows: pd.DataFrame  # row, signer_id, clip_id, video_hash; one for each content that a clip has or had
    signers: list[str]
    beside: list[str]  # lines about clips that stay
    lengths: dict[str, float | None]  # of contents in seconds


def withdraw(
    presets: str, signers: Sequence[str], clips: Sequence[str], ended: bool, yes: bool, today: date
) -> int:
    """Say what will be removed, and remove it if `yes`; return the exit code.

    Without signers, clips and `ended`, what the list names already is removed again. Raises SignloomError for
    a signer or clip that the table does not have.
    """
    names = [name for name in presets.split(",") if name]
    dataset = load_presets(names).dataset
    git("rev-parse", "--git-dir")  # an error of git's must come before anything is deleted
    own = Build(BUILD / "-".join(names))
    asked = find(dataset, own, signers, clips, ended, today)
    listed = withdrawn_from(dataset.table)
    ids = {*asked.rows["clip_id"], *listed["clip_id"]} - {""}
    hashes = {*asked.rows["video_hash"], *listed["video_hash"]} - {""}
    if not ids and not ended:
        raise SignloomError("withdraw: nothing to withdraw; name a signer, --clips, or --ended")
    builds = [
        build
        for build in find_builds()
        if build.holds(ids, hashes, by_name=build == own or _table_of(build) == Path(dataset.table))
    ]
    # an earlier withdrawal that was cut off goes on
    if ended and not (signers or clips) and asked.rows.empty and not builds:
        print(f"no consent in {dataset.table} has ended; nothing was removed")
        return 0
    parts = pd.concat([table[["clip_id", "video_hash"]] for table in (asked.rows, listed)])
    others = {build: build.clips_of(parts, asked.lengths) for build in builds}
    builds += [] if own.is_told else [own]  # it may have scratch files
    named = {build: {*ids, *others.get(build, ())} for build in builds}
    # of a content whose length is not known, a cut to the end cannot be told from another
    doubtful = {content for content in hashes if asked.lengths.get(content) is None}
    files = {build: build.derived({*named[build], *build.clips_with(doubtful)}) for build in builds}
    cache = DvcCache.find()
    if cache:
        cache.doomed()  # what it cannot read must be said before anything is deleted
    print("\n".join(plan(dataset, asked, files, cache)))
    if not yes:
        print("\nnothing was removed; add --yes to remove it")
        return 0
    refuse_engine()
    refuse_jobs(builds)
    _record(dataset, asked, named, today)
    _edit_tables(dataset)
    for build in builds:
        remove(files[build])
    stores = find_stores()  # the records know them
    forget_records()
    if cache:
        remove(cache.doomed())
        forget_state(cache)
    print("\n" + "\n".join(what_is_left(dataset, names, builds, others, cache, stores)))
    return 0


def find(
    dataset: DatasetParams, own: Build, signers: Sequence[str], clips: Sequence[str], ended: bool, today: date
) -> Asked:
    """Return the rows that are asked for; raises SignloomError for what neither table nor list names.

    A source may have been deleted or changed since the build `own`, whose manifest has its hash too.
    """
    rows = all_rows(dataset)
    rows = rows.assign(clip_id=clip_ids(rows), signer_id=rows["signer_id"].str.strip())
    listed = withdrawn_from(dataset.table)
    signers = [one_name(name) for name in signers]
    clips = spelled(clips, {*rows["clip_id"], *listed["clip_id"]} - {""})
    for column, what, names in (("signer_id", "signer", signers), ("clip_id", "clip", clips)):
        known = {*rows[column], *listed[column]} - {""}
        for name in names:
            if name not in known:
                folded = {one.casefold(): one for one in sorted(known)}
                close = difflib.get_close_matches(name.casefold(), folded, n=1)
                meant = f"; did you mean {folded[close[0]]!r}?" if close else ""
                raise SignloomError(f"withdraw: {dataset.table} has no {what} {name!r}{meant}")
    out = rows["signer_id"].isin([*signers]) | rows["clip_id"].isin([*clips])
    if ended:
        out |= np.array([has_ended(until, today) for until in rows["until"]])
    chosen = rows[out & (rows["clip_id"] != "")]
    paths = [Path(dataset.videos) / video for video in chosen["video"]]
    with tempfile.TemporaryDirectory() as scratch:  # no cache of hashes may keep those of withdrawn videos
        sources = Sources(dataset, paths, HashCache(Path(scratch) / "hashes.json"))
    known_hashes = sources.hashes
    places = {content: path for path, content in known_hashes.items()}
    lengths = sources.lengths(places, {*places})
    built = own.hashes({*chosen["clip_id"]})
    found = [
        (row.row, row.signer_id, row.clip_id, content)
        for path, row in zip(paths, chosen.itertuples(), strict=True)
        for content in sorted({known_hashes.get(path, ""), built.get(row.clip_id, "")} - {""}) or [""]
    ]
    table = pd.DataFrame(found, columns=["row", "signer_id", "clip_id", "video_hash"])
    whole = {*listed["signer_id"][listed["clip_id"] == ""]}
    stay = [*beside(dataset, rows, {*chosen["clip_id"]}, signers)] if len(chosen) else []
    return Asked(table, [name for name in signers if name not in whole], stay, lengths)


def plan(
    dataset: DatasetParams, asked: Asked, files: dict[Build, list[Path]], cache: DvcCache | None
) -> list[str]:
    """Return lines that say what will be removed."""
    rows = asked.rows
    who = sorted({*rows["signer_id"]} - {""})
    count = rows["row"].nunique()
    lines = [f"clips     {count} of {dataset.table}" + (f", signed by {', '.join(who)}" if who else "")]
    if _can_edit(dataset):
        lines.append(f"table     their rows are taken out of {dataset.table}")
    lines.append(f"list      {list_beside(dataset.table)} names them, so that they stay out")
    for build, its in files.items():
        size = sum(file.stat().st_size for file in its if file.exists())
        lines.append(f"build     {build.folder}: {number_of(len(its), 'file', 'files')}, {size / 1e6:.1f} MB")
        lines += [f"          {link} leads to {there}: its files too" for link, there in build.links.items()]
    lines.append("records   Snakemake's logs, and its records of these files")
    if cache:
        lines.append(f"cache     DVC's copies in {cache.folder} of all products that do not stay")
    return [*lines, *(f"beside    {line}" for line in asked.beside)]


def what_is_left(
    dataset: DatasetParams,
    names: Sequence[str],
    builds: Sequence[Build],
    clips: Mapping[Build, Sequence[str]],
    cache: DvcCache | None,
    stores: Sequence[str] = (),
) -> list[str]:
    """Return lines that say what to build again, and what lies where this command does not reach.

    `clips` are the names that builds gave the withdrawn clips.
    """
    listed, watched = list_beside(dataset.table), Path(PRESETS if names else "", "-".join(names), "dvc.yaml")
    old = watched.exists() and str(listed) not in watched.read_text("utf-8")
    lines = ["removed. Everything that was trained with these clips must be made again:"]
    for build in builds:
        given = "" if build.folder == BUILD else f" --config preset={presets_of(build.folder.name)}"
        lines.append(
            f"  snakemake --cores all{given}"
            + ("" if given else f"     or: {'make dvc && ' if old else ''}dvc repro")
        )
        if (other := _table_of(build)) not in (None, Path(dataset.table)):
            theirs = "".join(f" {shlex.quote(clip)}" for clip in clips.get(build, ()))
            lines.append(
                f"    before it, take them out of {other} too: signloom withdraw --preset "
                + presets_of(build.folder.name)
                + (f" --clips{theirs}" if theirs else "")
            )
    if old:
        given = f" PRESET={','.join(names)}" if names else ""
        lines.append(f"for DVC, which does not look at {listed} yet: make dvc{given}")
    lines.append("then: signloom withdraw --verify" + (f" --preset {','.join(names)}" if names else ""))
    lines.append("yours to see to:")
    lines.append(f"  the source videos or rows in {dataset.videos}, and tables that name these clips")
    lines.append("  the history of git, which keeps earlier tables, metric files and dvc.lock")
    lines.append("  bundles, reports and landmarks that were handed on")
    for store in stores:
        lines.append(f"  the object store: before the rebuild, delete {store}/build, and earlier versions")
    for name, url in (cache.remotes if cache else {}).items():
        lines.append(
            f"  DVC's remote {name} ({url}): after the rebuild commit dvc.lock, dvc push --remote {name} "
            f"and dvc gc --workspace --cloud --remote {name}"
        )
    return lines


def verify(presets: str) -> int:
    """Search the project and its caches; print what is left, and return 1 if it is anything, else 0."""
    dataset = load_presets([name for name in presets.split(",") if name]).dataset
    listed = withdrawn_from(dataset.table)
    if listed.empty:
        raise SignloomError(
            f"withdraw: {list_beside(dataset.table)} names nobody, so there is nothing to verify"
        )
    videos = _videos_left(dataset, {*listed["video_hash"]})
    found = search(dataset, DvcCache.find(), bool(videos))
    print(f"searched {found.files} files, {found.bytes / 1e6:.1f} MB, for {len(listed)} entries of the list")
    for path, what in found.aside.items():
        print(f"aside     {path}: {_some(what)}")
    for store in find_stores():
        print(f"aside     {store} is not searched; delete its build folder, unless it was made since")
    if commits := _commits(Path(dataset.table)):
        print(f"aside     git history: {number_of(commits, 'commit', 'commits')} of {dataset.table}")
    if videos:
        which = number_of(len(videos), "source video is", "source videos are")
        print(f"aside     {which} still in {dataset.videos}; first: {videos[0]}")
    for path, what in found.traces.items():
        print(f"found     {path}: {_some(what)}", file=sys.stderr)
    if found.traces:
        print("something is left of withdrawn clips; delete these files, or withdraw again", file=sys.stderr)
        return 1
    print("nothing is left of them in products and caches")
    return 0


def _record(dataset: DatasetParams, asked: Asked, builds: Mapping[Build, set[str]], today: date) -> None:
    """Write the fingerprints and then the list, so that a killed command goes on where it stopped.

    `builds` has the names of the withdrawn clips in each build, which may be others than those of the table.
    """
    store = list_beside(dataset.table).with_suffix(".npy")
    known = [np.load(store, allow_pickle=False)] if store.exists() else []
    known += [build.fingerprints(ids) for build, ids in builds.items()]
    made = np.unique(np.concatenate([np.zeros(0, np.uint64), *known]))
    if len(made):
        write_npy(store, made)
    clips, listed = asked.rows[["clip_id", "signer_id", "video_hash"]], list_beside(dataset.table)
    is_new, taken = not listed.exists(), {*clip_ids(all_rows(dataset))}
    former = [
        (clip, "", content)
        for build, ids in builds.items()
        for clip, content in sorted(build.hashes(ids - taken).items())
    ]
    add_withdrawn(
        listed, pd.concat([clips, pd.DataFrame(former, columns=clips.columns)]), asked.signers, today
    )
    if is_new and Path(dataset.table).is_file():
        shutil.copymode(dataset.table, listed)  # who may not read the table may not read names of its signers


def _edit_tables(dataset: DatasetParams) -> None:
    """Take the rows of withdrawn clips out of the table and of the review, if these are text."""
    listed = withdrawn_from(dataset.table)
    rows = all_rows(dataset)
    gone = rows[are_withdrawn(rows, listed)]
    if _can_edit(dataset) and len(gone):
        _take_out(Path(dataset.table), {*gone["row"]}, "video")
    if dataset.review and _is_text(dataset.review):
        review = Path(dataset.review)
        done = read_table(review, ["clip_id"])
        ids, withdrawn = [clip.strip() for clip in done["clip_id"]], {*listed["clip_id"]} - {""}
        if len(mine := done[[clip in withdrawn for clip in spelled(ids, withdrawn)]]):
            _take_out(review, {*mine["row"]}, "clip_id")


def _take_out(table: Path, rows: set[int], column: str) -> None:
    """Write `table` without `rows`; its mode stays, so that nobody can read it who could not."""
    text = without_rows(table, rows, [column])
    with atomic(table) as part:
        part.write_text(text, "utf-8")
        shutil.copymode(table, part)


def _can_edit(dataset: DatasetParams) -> bool:
    return dataset.importer == "csv" and _is_text(dataset.table)


def _is_text(table: str) -> bool:
    """Return whether rows can be taken out of a table; a link leads to what others may use, or DVC keeps."""
    return Path(table).suffix.lower() in _TEXT_TABLES and not Path(table).is_symlink()


def _table_of(build: Build) -> Path | None:
    """Return the table of the preset that a build is of, None if the preset is gone."""
    try:
        names = [] if build.folder == BUILD else presets_of(build.folder.name).split(",")
        return Path(load_presets(names).dataset.table)
    except SignloomError:
        return None


def _videos_left(dataset: DatasetParams, hashes: set[str]) -> list[Path]:
    """Return the videos and folders of frames below the folder of sources that have one of `hashes`."""
    root = Path(dataset.videos)
    files = [file for file in files_below(root) if file.is_file()]
    folders = {file.parent for file in files} - {root}
    with tempfile.TemporaryDirectory() as scratch:
        known = HashCache(Path(scratch) / "hashes.json").hash_all([*files, *sorted(folders)])
    return sorted(path for path, content in known.items() if content in hashes - {""})


def _commits(table: Path) -> int:
    """Return how many commits have changed the table, 0 without git and for a table elsewhere."""
    top = git("rev-parse", "--show-toplevel")
    if not top or not table.resolve().is_relative_to(Path(top).resolve()):
        return 0
    return int(git("rev-list", "--count", "--all", "--", str(table)) or 0)


def _some(what: set[str]) -> str:
    shown = sorted(what)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
