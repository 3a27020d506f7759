"""The sources that table rows name: video or feature files, folders of frames, clips of a table of rows."""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.dataset import landmark_sources
from signloom.dataset.consent import refuse_ended
from signloom.dataset.hashes import HashCache
from signloom.dataset.importers import load_rows
from signloom.dataset.landmark_sources import Settings, kind_of
from signloom.dataset.probe import end_of, files_of, frame_times, length_s, why_unreadable
from signloom.dataset.probes import Probes
from signloom.dataset.row_files import ROW_SUFFIXES, RowFiles
from signloom.dataset.row_tables import split_key
from signloom.dataset.withdrawn import same_parts, withdrawn_from
from signloom.errors import SignloomError
from signloom.gate import FOLDER_FPS, MISSING, why_shut
from signloom.params.dataset import DatasetParams


class Sources:
    """The sources `paths` of a dataset with their content hashes; other files are not read."""

    def __init__(
        self, dataset: DatasetParams, paths: Iterable[Path], hashes: HashCache, probes: Probes | None = None
    ) -> None:
        """Hash every source that exists; raises SignloomError if a table of rows cannot be read.

        Videos and folders that `probes` knows are not opened.
        """
        self.dataset, self.root = dataset, (root := Path(dataset.videos))
        self._inside = {path: path != root and _is_below(path, root) for path in paths}
        inside = {path for path, is_inside in self._inside.items() if is_inside}
        folders: dict[Path, Path] = {}
        shut = {path: why for path in inside if (why := why_shut(path, root, folders))}
        keyed = {path: parts for path in shut if (parts := split_key(path))}
        tables = {table for table, _ in keyed.values() if not why_shut(table, root) and table.is_file()}
        self._rows = RowFiles()
        self._shapes: dict[Path, tuple[int, int]] = {}
        self._tables = {table: self._rows.table(table) for table in sorted(tables)}
        self._keyed = {
            path: (self._tables[table], key)
            for path, (table, key) in keyed.items()
            if key in self._tables.get(table, ())
        }
        self._shut = {path: why for path, why in shut.items() if why != MISSING and path not in keyed}
        self._times: dict[Path, NDArray[np.float64]] = {}
        self._lengths: dict[Path, float | None] = {}
        self._probes = probes or Probes(None)
        self.hashes = hashes.hash_all(inside - shut.keys())
        self.hashes |= {path: table.digest(key) for path, (table, key) in self._keyed.items()}

    @property
    def tables(self) -> list[Path]:
        """The tables of rows that sources are clips of."""
        return list(self._tables)

    def is_inside(self, path: Path) -> bool:
        """Return whether `path` names a place below the root; see `why_shut` for links."""
        if path == self.root:
            return True
        known = self._inside.get(path)
        return _is_below(path, self.root) if known is None else known

    def why_shut(self, path: Path) -> str | None:
        """Return why a source inside the root must not be opened, or None."""
        return self._shut.get(path)

    def why_missing(self, path: Path) -> str | None:
        """Return why a source inside the root is missing, or None if it exists."""
        if path in self.hashes:
            return None
        parts = split_key(path)
        if parts and parts[0] in self._tables:
            return f"{parts[0]}: no row has {parts[1]!r} in column `video`"
        return f"{parts[0] if parts else path} does not exist"

    def why_unreadable(self, path: Path) -> str | None:
        """Return why an existing source cannot be read, or None if it can.

        Raises SignloomError if landmarks need a parameter that is null.
        """
        if not self.dataset.holds_features:
            return self._without_rows(path)
        try:
            if path in self._keyed:
                table, key = self._keyed[path]
                table.values(key)
            self.shape(path)
        except SignloomError as error:
            return str(error)
        return None

    def _without_rows(self, path: Path) -> str | None:
        """Return why a source cannot be read as a video, folder of frames or landmarks."""
        landmarks = self._holds_landmarks(path)
        if landmarks:
            problem = landmark_sources.why_unreadable(path, Settings.of(self.dataset))
        else:
            content = self.hashes[path]
            known = self._probes.recall(path, content, "readable")
            problem = None if known else why_unreadable(path)
            self._probes.remember(path, content, "readable", None if problem else 1.0)
        if problem and (path in self._keyed or path.suffix.lower() in ROW_SUFFIXES):
            return f"{problem}; if it holds feature rows, set dataset.features to true"
        return problem

    def shape(self, path: Path) -> tuple[int, int]:
        """Return the number of rows and columns of a source; raises as `RowFiles.shape` does."""
        if path not in self._shapes:
            self._shapes[path] = self._rows.shape(path)
        return self._shapes[path]

    def size(self, path: Path) -> int:
        """Return the size in bytes of a file, of all frames of a folder, or of a clip's rows."""
        if path in self._keyed:
            table, key = self._keyed[path]
            return table.size(key)
        return sum(file.stat().st_size for file in files_of(path))

    def length_s(self, path: Path, claimed_s: float = 0.0) -> float | None:
        """Return the length of a video, of rows or of landmarks in seconds, or None if it is not known.

        A header that says less than `claimed_s` is compared with the frames: it may count decoding times.
        """
        if self.dataset.holds_features:
            rate = self.dataset.frame_rate
            return self.shape(path)[0] / rate if rate else None
        if path not in self._lengths:
            self._lengths[path] = (
                landmark_sources.length_and_rate(path, Settings.of(self.dataset))[0]
                if self._holds_landmarks(path)
                else self._length(path)
            )
        length = self._lengths[path]
        if length is not None and length < claimed_s:
            end = self._asked(path, "end", lambda: end_of(self._frame_times(path)))
            self._lengths[path] = length = max(length, round(end or 0.0, 3))
        return length

    def lengths(self, paths: dict[str, Path], named: set[str]) -> dict[str, float | None]:
        """Return the lengths in seconds of the contents `named`, which lie at `paths`; None if not known."""
        found: dict[str, float | None] = {}
        for content in named & paths.keys() - {""}:
            try:
                found[content] = self.length_s(paths[content])
            except SignloomError:  # the manifest says what is wrong with it
                found[content] = None
        return found

    def _length(self, path: Path) -> float | None:
        if path.is_dir():
            return len(files_of(path)) / (self.dataset.frame_rate or FOLDER_FPS)
        return self._asked(path, "length", lambda: length_s(path))

    def largest_gap_s(self, path: Path, start_s: float, end_s: float) -> float:
        """Return the longest pause between two frames of a cut of a video file; NaN if it is not known."""
        if self.dataset.holds_features or self._holds_landmarks(path):
            return math.nan
        question = f"gap from {start_s!r} to {end_s!r}"
        gap = self._asked(path, question, lambda: self._gap(path, start_s, end_s))
        return math.nan if gap is None else gap

    def _gap(self, path: Path, start_s: float, end_s: float) -> float:
        times = self._frame_times(path)
        inside = times[(times >= start_s) & (times < end_s)]
        return float(np.diff(inside, prepend=start_s).max()) if len(inside) else math.nan

    def _frame_times(self, path: Path) -> NDArray[np.float64]:
        if path not in self._times:
            self._times[path] = frame_times(path)
        return self._times[path]

    def _asked(self, path: Path, question: str, ask: Callable[[], float | None]) -> float | None:
        """Return the answer about a video, which is opened only if its content is new."""
        known = self._probes.recall(path, self.hashes[path], question)
        if known is None:
            known = ask()
            self._probes.remember(path, self.hashes[path], question, known)
        return known

    def _holds_landmarks(self, path: Path) -> bool:
        return not self.dataset.holds_features and kind_of(path) is not None

    def can_be_cut(self, path: Path) -> bool:
        """Return whether the clip may have a start and end; a clip of a table of rows may not."""
        return path not in self._keyed


def _is_below(path: Path, root: Path) -> bool:
    if not path.is_relative_to(root):
        return False
    return Path(os.path.normpath(path.relative_to(root))).parts[:1] != ("..",)


@dataclass(frozen=True)
class Table:
    """The rows of a dataset's table, the path that each names, and what is there."""

    dataset: DatasetParams
    rows: pd.DataFrame
    paths: list[Path]
    sources: Sources
    warnings: list[str]  # what annotations were left out as a whole

    @classmethod
    def read(cls, dataset: DatasetParams, hashes: HashCache) -> Table:
        """Read the table and hash the sources that it names; other files in the folder are not read.

        Raises SignloomError if a table cannot be read.
        """
        warnings: list[str] = []
        rows = load_rows(dataset, warnings)
        paths = [Path(dataset.videos) / video for video in rows["video"]]
        sources = Sources(dataset, paths, hashes)
        if len(listed := withdrawn_from(dataset.table)):
            contents = [sources.hashes.get(path, "") for path in paths]
            lengths = sources.lengths(dict(zip(contents, paths, strict=True)), {*listed["video_hash"]})
            out = same_parts(rows, contents, listed, lengths)
            left = [path for path, gone in zip(paths, out, strict=True) if not gone]
            # a cache that stays in the project must not name them; of a video, other parts may stay
            hashes.forget({*paths} - {*left})
            rows, paths = rows[~out].reset_index(drop=True), left
        return cls(dataset, rows, paths, sources, warnings)

    def with_content(self) -> pd.DataFrame:
        """Return the rows; `content` is the hash of the row's source, or "" if it is missing."""
        return self.rows.assign(content=[self.sources.hashes.get(path, "") for path in self.paths])

    def refuse_ended(self) -> None:
        """Raise SignloomError if the consent to a clip has ended."""
        refuse_ended(self.dataset.table, self.rows, date.today())


def read_sources(dataset: DatasetParams, hashes: HashCache) -> pd.DataFrame:
    """Return the rows of the table with their `content`, and print warnings.

    Raises SignloomError if a table cannot be read or the consent to a clip has ended.
    """
    table = Table.read(dataset, hashes)
    table.refuse_ended()
    for line in table.warnings:
        print(f"warning: {line}", file=sys.stderr)
    return table.with_content()


def sources_digest(table: Table) -> str:
    """Return one digest of the rows and the contents that they name; the table's layout does not count."""
    table.refuse_ended()
    return hashlib.sha256(table.with_content().to_csv(index=False).encode()).hexdigest()
