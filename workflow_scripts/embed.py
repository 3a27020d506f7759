"""Embed every clip with the trained encoder, and keep the gallery's encoder sequences.

Inputs: checkpoint, features, mask, index (one of each per shard), stats, splits, metadata.
Outputs: embeddings, map, frames, frames_index. Parameters: exported (false for other runs, whose
sequences nothing reads: they get none).
"""

import pandas as pd
import torch

from signloom.evaluation.embed import embedding_map, write_embeddings
from signloom.features.shards import FeatureShards
from signloom.files import write_csv, write_parquet
from signloom.models.trained_sign2text import load_trained
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    trained = load_trained(job.input("checkpoint"), job.input("stats"))
    shards = FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask"))
    clips = embedding_map(read_splits(job.input("splits")), pd.read_parquet(job.input("metadata")))
    outputs = job.output("embeddings"), job.output("frames")
    gallery = write_embeddings(trained, shards, clips, *outputs, exported=job.params.get("exported", True))
    write_parquet(job.output("frames_index"), gallery)
    write_csv(job.output("map"), clips)


main = entry_point(work)
