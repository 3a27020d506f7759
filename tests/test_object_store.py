"""Products in object storage, by Snakemake's plugin for S3 and a server of moto on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from row_project import TARGETS, products, write_project

from engines.pipeline import Pipeline
from tools.object_store import snakemake, store


def test_products_in_a_store_keep_the_names_that_files_have(root: Path) -> None:
    tree, place = yaml.safe_load((root / "params.yaml").read_text("utf-8")), ".snakemake/storage/s3/a b"
    flow = Pipeline.load(tree, stored=place)
    copy = f"{place}/build/{{fold}}{{shard}}.npy"  # as Snakemake gives the output of a rule
    assert flow.each(copy, shard=["00", "01"]) == ["build/{fold}00.npy", "build/{fold}01.npy"]
    assert flow.plain(copy) == "build/{shard}.npy"
    assert flow.of_grid("sign2text", copy)[0] == "build/{shard}.npy"
    assert str(flow.local_copy("build/00.origin")) == f"{place}/build/00.origin"
    given = {"stats": f"{place}/build/stats.npz"}
    assert flow.files(None, given, given).endswith(f"--scratch build/scratch --stored '{place}'")


@pytest.mark.long
def test_products_in_a_store_are_the_bytes_that_files_would_be_and_a_lost_one_is_made_again(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write_project(here)
    snakemake(here, "--", *TARGETS)
    write_project(there)
    with store() as place:
        snakemake(there, *place.options, "--", *TARGETS)
        place.fetch(tmp_path / "fetched")
        assert products(tmp_path / "fetched") == products(here)
        assert not list((there / "build").rglob("*.npz"))
        assert "Nothing to be done" in snakemake(there, *place.options, "--dry-run", "--", *TARGETS)
        place.bucket().Object("build of mine/build/splits.csv").delete()
        # without statistics, which depend on the splits
        said = snakemake(there, *place.options, "--", *TARGETS[1:])
        assert "1 of 1 steps" in said.replace("(100%) ", "") or said.count("Job ") == 1
        place.fetch(tmp_path / "again")
    assert products(tmp_path / "again") == products(here)
