"""The builds of a project: which of them hold clips, what was derived from these, and their fingerprints."""

import base64
import fcntl
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.dataset.withdrawn import same_parts
from signloom.errors import SignloomError
from signloom.files import read_csv
from signloom.params.presets import PRODUCT_FOLDERS
from signloom.progress import track
from signloom.withdrawal.traces import Words, fingerprints, names_of

BUILD, METRICS = Path("build"), Path("metrics")
# made clip by clip, so that a shard without the clips is as it would be without them
_SHARDED = ("landmarks", "pose_features", "clip_features", "clip_features_augmented")
# folders of metric files that a build writes; others below metrics hold figures of benchmarks
_METRICS = {"gloss", "seeds", "folds", "variants", "together", "side_by_side"}
_TABLES = ("manifest.parquet", "sources.parquet", "processed_metadata.parquet")
# all that is there where nothing was built, after `signloom check`
_HASHES = "scratch/video_hashes.json"
_PICTURE = re.compile(r'<img src="data:image/\w+;base64,[^"]*"[^>]*alt="[^"]*"')


@dataclass(frozen=True)
class Build:
    """The products of one set of parameters: a folder below `build`, or that folder itself."""

    folder: Path

    @property
    def metrics(self) -> Path:
        """The folder of its metric files."""
        return METRICS / self.folder.relative_to(BUILD)

    @property
    def is_told(self) -> bool:
        """Whether it has a table that tells which clips it has."""
        return any((self.folder / name).exists() for name in _TABLES)

    def holds(self, clips: Set[str], hashes: Set[str], by_name: bool = False) -> bool:
        """Return whether its tables name one of the contents `hashes`, or, if they lack them, the `clips`.

        With `by_name`, the names of clips count anyway: a video may have changed since the build.
        """
        for name in _TABLES:
            path = self.folder / name
            if not path.exists():
                continue
            table = pd.read_parquet(path)
            column = next((name for name in ("video_hash", "content", "clip_id") if name in table), "clip_id")
            if not (clips if column == "clip_id" else hashes).isdisjoint(table[column]):
                return True
            if by_name and "clip_id" in table and not clips.isdisjoint(table["clip_id"]):
                return True
        known = self.folder / _HASHES
        if self.is_told or not known.exists():
            return False
        text = known.read_text("utf-8")
        return any(digest in text for digest in hashes)

    def hashes(self, clips: Set[str]) -> dict[str, str]:
        """Return the content hashes of those of `clips` that its manifest names."""
        manifest = self.folder / "manifest.parquet"
        if not manifest.exists():
            return {}
        table = pd.read_parquet(manifest, columns=["clip_id", "video_hash"])
        mine = table[table["clip_id"].isin([*clips])]
        return dict(zip(mine["clip_id"], mine["video_hash"], strict=True))

    def clips_of(self, listed: pd.DataFrame, lengths: Mapping[str, float | None] | None = None) -> list[str]:
        """Return what its manifest calls the parts of videos that `listed` (`clip_id, video_hash`) names.

        `lengths` are those of contents in seconds, as far as they are known.
        """
        manifest = self.folder / "manifest.parquet"
        if not manifest.exists():
            return []
        table = pd.read_parquet(manifest)
        times = table.reindex(columns=["start_s", "end_s"]).astype(object)
        times = times.where(times.notna(), "")
        contents = table["video_hash"].tolist()
        return sorted(table["clip_id"][same_parts(times.astype(str), contents, listed, lengths)])

    def clips_with(self, hashes: Set[str]) -> list[str]:
        """Return all clips of contents of which `clips_of` may not know the parts."""
        manifest = self.folder / "manifest.parquet"
        if not manifest.exists():
            return []
        table = pd.read_parquet(manifest, columns=["clip_id", "video_hash"])
        return sorted(table["clip_id"][table["video_hash"].isin([*hashes])])

    def shards_without(self, clips: Set[str]) -> list[Path]:
        """Return the files of shards that have no row of `clips`, and the lists of such shards.

        Without its list, Snakemake would make a shard again.
        """
        found = [
            table
            for table in sorted((self.folder / "shards").glob("*.csv"))
            if clips.isdisjoint(read_csv(table, dtype=str, keep_default_na=False)["clip_id"])
        ]
        for folder in _SHARDED:
            for index in sorted((self.folder / folder).glob("*.parquet")):
                ids = pd.read_parquet(index, columns=["clip_id"])["clip_id"]
                own = {name for clip in ids for name in names_of(clip)}
                if own.isdisjoint(clips):
                    found += sorted(index.parent.glob(f"{index.stem}.*"))
        return found

    def derived(self, clips: Set[str]) -> list[Path]:
        """Return every file that was made from `clips` or with them.

        Statistics, models, indexes, reports and metrics are made from all clips. Only shards of features
        that hold none of the clips stay, and their lists. The tables that tell which clips it has come last,
        so that a removal that was cut off is known as one.
        """
        stay = {*self.shards_without(clips)}
        files = [file for file in self._products() if file not in stay and file.name != ".gitkeep"]
        return sorted(files, key=lambda file: file.parent == self.folder and file.name in _TABLES)

    def _products(self) -> Iterator[Path]:
        """Yield all files of the build; the folders of other builds lie beside those of the first."""
        for place, own in ((self.folder, PRODUCT_FOLDERS), (self.metrics, _METRICS)):
            inner = own if self.folder == BUILD else {path.name for path in place.glob("*")}
            for path in sorted(place.glob("*")):
                if not path.is_dir():
                    yield path
                elif path.name in inner:
                    # a product folder may lie on another disk; a link in it may lead to the videos
                    yield from (file for file in sorted(path.rglob("*")) if not file.is_dir())

    @property
    def links(self) -> dict[Path, Path]:
        """The product folders that are links, and where these lead."""
        folders = [self.folder, *self.folder.glob("*")]
        return {path: path.resolve() for path in sorted(folders) if path.is_symlink() and path.is_dir()}

    def fingerprints(self, clips: Set[str]) -> Words:
        """Return the fingerprints of rows and pictures of `clips` that no other clip has."""
        mine, rest = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        for clip_id, rows in self._rows():
            (rest if clips.isdisjoint(names_of(clip_id)) else mine).append(fingerprints(rows))
        pages = [file for file in self._products() if file.suffix == ".html"]
        for page in pages:
            mine += [
                _of_picture(img) for img in _PICTURE.findall(page.read_text("utf-8")) if _names(img, clips)
            ]
        return np.setdiff1d(np.concatenate(mine), np.concatenate(rest))

    def _rows(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Yield clip and rows of every array that has an index, and of the embeddings."""
        below = [*self._products()]
        indexes = [path for path in below if path.suffix == ".parquet" and _array_of(path).exists()]
        for index in track(indexes, "fingerprints", unit="array"):
            table = pd.read_parquet(index)
            array = np.load(_array_of(index), mmap_mode="r", allow_pickle=False)
            if {"clip_id", "offset", "length"} <= {*table}:
                for row in table[["clip_id", "offset", "length"]].itertuples(index=False):
                    yield row.clip_id, np.array(array[row.offset : row.offset + row.length])
        for table_file in (path for path in below if path.name == "embeddings_map.csv"):
            vectors = table_file.with_name("embeddings.npy")
            if vectors.exists():
                named = read_csv(table_file, dtype={"clip_id": str}, keep_default_na=False)["clip_id"]
                yield from zip(named, np.load(vectors)[:, None], strict=False)


def _array_of(index: Path) -> Path:
    return index.with_name(index.stem.removesuffix("_index")).with_suffix(".npy")


def _names(img: str, clips: Set[str]) -> bool:
    """Return whether the words beside a picture say that it shows one of `clips`."""
    said = html.unescape(img.partition("alt=")[2])
    return any(f"lip {clip}{mark}" in said for clip in clips for mark in (". ", ", ", '."'))


def _of_picture(img: str) -> Words:
    """Return a few fingerprints of an embedded picture, from its middle on, where no header is."""
    blob = _bytes_of(img)
    return fingerprints(np.frombuffer(blob[len(blob) // 2 :][:256], np.uint8)[None])


def _bytes_of(img: str) -> bytes:
    """Return the bytes of a picture that an element of a page holds."""
    return base64.b64decode(img.partition("base64,")[2].partition('"')[0])


def find_builds() -> list[Build]:
    """Return all builds of the project: below `build` a folder with tables of clips is one of its own."""
    if not BUILD.is_dir():
        return []
    below = [
        path
        for path in sorted(BUILD.iterdir())
        if any((path / name).exists() for name in (*_TABLES, _HASHES))
    ]
    return [Build(folder) for folder in (BUILD, *below)]


def refuse_jobs(builds: Iterable[Build]) -> None:
    """Raise SignloomError if a job is at work in one of `builds`: it would write after a removal.

    Jobs on other machines are seen where the file system has locks for all of them.
    """
    for build in builds:
        for place in (build.folder / "scratch/locks").glob("*"):
            with suppress(OSError), place.open("r+", encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise SignloomError(
                        f"withdraw: {file.read()} is at work in {build.folder}; wait for it, or end it"
                    ) from error


def refuse_engine() -> None:
    """Raise SignloomError if Snakemake is at work: jobs in the queue of a cluster hold no lock yet."""
    if any(Path(".snakemake/locks").glob("*")):
        raise SignloomError(
            "withdraw: Snakemake is at work in this folder; wait for it, or end it. If it was killed, "
            "end its jobs on a cluster and run snakemake --unlock"
        )


def remove(files: list[Path]) -> None:
    """Delete `files`, and then the folders that are empty."""
    for file in track(files, "removing", unit="file"):
        file.unlink(missing_ok=True)
    for folder in sorted({parent for file in files for parent in file.parents}, reverse=True):
        if folder not in (Path(), *Path().parents):
            with suppress(OSError):  # it holds something else
                folder.rmdir()
