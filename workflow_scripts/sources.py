"""Convert the annotation table to one format, and record a digest of every file that it names."""

from __future__ import annotations

import sys

from signloom.dataset.hashes import HashCache
from signloom.dataset.sources import read_sources
from signloom.files import write_parquet
from signloom.params.dataset import DatasetParams
from signloom.stage import Job, run_stage


def work(job: Job) -> None:
    hashes = HashCache(job.scratch_root / "video_hashes.json")
    write_parquet(job.output("rows"), read_sources(job.section("dataset", DatasetParams), hashes))


def main(argv: list[str] | None = None) -> int:
    return run_stage("sources", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
