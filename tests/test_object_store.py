"""Products in object storage, by Snakemake's plugin for S3 and a server of moto on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from row_project import TARGETS, products, write_project

from tools.object_store import snakemake, store


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
