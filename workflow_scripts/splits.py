"""Divide the clips into train, val and test, and mark the sentences that also occur in training."""

from __future__ import annotations

import sys

import pandas as pd

from signloom.dataset.splits import count_splits, make_splits
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.params.run import FoldParams
from signloom.params.splits import SplitsParams
from signloom.stage import Job, run_stage


def work(job: Job) -> None:
    clips = pd.read_parquet(job.input("metadata"))
    fold = job.section("fold", FoldParams) if "fold" in job.params else None
    splits = make_splits(clips, job.section("splits", SplitsParams), fold)
    write_metrics(job.output("metrics"), count_splits(splits, clips))
    write_csv(job.output("splits"), splits)


def main(argv: list[str] | None = None) -> int:
    return run_stage("splits", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
