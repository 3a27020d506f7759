"""Decode every held-out clip by beam search; score the sentences, with intervals and a retrieval baseline.

Inputs: checkpoint, features, mask, index (one of each per shard), stats, splits, metadata, tokenizer, texts,
text_embeddings, embeddings, map. Outputs: metrics, predictions. Parameters: decoding, evaluation.
"""

import torch

from signloom.evaluation.datasets import EmbeddedClips, add_signers, data_sets
from signloom.evaluation.sign2text import References, evaluate, load_tokenizer
from signloom.features.shards import FeatureShards
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.models.trained_sign2text import load_trained
from signloom.params.evaluation import DecodingParams, EvaluationParams
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    trained = load_trained(job.input("checkpoint"), job.input("stats"))
    answers, metrics = evaluate(
        trained,
        load_tokenizer(job.input("tokenizer"), trained),
        FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask")),
        EmbeddedClips(job.input("embeddings"), job.input("map")),
        References(job.input("texts"), job.input("text_embeddings")),
        data_sets(read_splits(job.input("splits"))),
        job.section("decoding", DecodingParams),
        job.section("evaluation", EvaluationParams),
    )
    add_signers(answers, job.input("metadata"))
    write_csv(job.output("predictions"), answers)
    write_metrics(job.output("metrics"), metrics)


main = entry_point(work)
