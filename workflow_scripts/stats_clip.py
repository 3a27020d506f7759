"""Compute mean and standard deviation of the clip features over the training split.

Inputs: splits, features (npy) and index (parquet), one of each per shard. Outputs: stats (.npz).
"""

from signloom.features.shards import FeatureShards
from signloom.features.stats import write_clip_stats
from signloom.text.sentences import read_training_clips
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    clips = read_training_clips(job.input("splits"))["clip_id"].tolist()
    shards = FeatureShards(job.input_list("features"), job.input_list("index"))
    write_clip_stats(clips, shards, job.output("stats"))


main = entry_point(work)
