"""A manifest of a data set, as stages sources and manifest build it together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from demo_params import section

from signloom.dataset.hashes import HashCache
from signloom.dataset.manifest import Manifest, build_manifest
from signloom.dataset.sources import read_sources
from signloom.params.dataset import DatasetParams, ManifestParams


def dataset_of(
    table: Path, videos: Path, importer: str = "csv", variations: str | None = None, **more: Any
) -> DatasetParams:
    """Return the section `dataset` of a corpus, without variations unless they are given."""
    given = {"importer": importer, "table": str(table), "videos": str(videos), "variations": variations}
    return section(DatasetParams, **(given | more))


def manifest_of(dataset: DatasetParams, store: Path, ratio: float = 1.0) -> Manifest:
    """Return the manifest of `dataset`; content hashes are remembered in the file `store`."""
    hashes = HashCache(store)
    rows = read_sources(dataset, hashes)
    return build_manifest(rows, dataset, ManifestParams(max_reject_ratio=ratio), hashes)


def build(folder: Path, table: str, importer: str = "csv", ratio: float = 1.0, **more: str) -> Manifest:
    suffix = "xlsx" if table == "" else "csv"
    if table:
        (folder / "clips.csv").write_text(table, "utf-8")
    dataset = dataset_of(folder / f"clips.{suffix}", folder / "videos", importer, **more)
    return manifest_of(dataset, folder / "hashes.json", ratio)
