"""Divide the clips into train, val and test, and mark the sentences that also occur in training.

Inputs: metadata. Outputs: splits, metrics. Parameters: splits and, for a fold, fold.
"""

import pandas as pd

from signloom.dataset.splits import check_share, count_splits, make_splits
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.params.splits import FoldParams, SplitsParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    clips = pd.read_parquet(job.input("metadata"))
    fold = job.section("fold", FoldParams) if "fold" in job.params else None
    splits = make_splits(clips, job.section("splits", SplitsParams), fold)
    if fold and fold.by == "share":
        check_share(splits, fold.name)
    write_metrics(job.output("metrics"), count_splits(splits, clips))
    write_csv(job.output("splits"), splits)


main = entry_point(work)
