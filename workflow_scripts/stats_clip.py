"""Compute mean and standard deviation of the clip features over the training split.

Inputs: splits, features (npy) and index (parquet), one of each per shard. Outputs: stats (.npz).
"""

from __future__ import annotations

import pandas as pd

from signloom.features.shards import FeatureShards
from signloom.features.stats import write_clip_stats
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    splits = pd.read_csv(job.input("splits"), dtype={"clip_id": str, "split": str}, keep_default_na=False)
    shards = FeatureShards(job.input_list("features"), job.input_list("index"))
    write_clip_stats(splits, shards, job.output("stats"))


main = entry_point(work)
