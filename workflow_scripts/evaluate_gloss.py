"""Decode every held-out clip with every decoder of a gloss network, and score the gloss sequences.

Inputs: checkpoint, splits, glosses, gloss_lines, metadata; pose, pose_index, mask (one of each per shard),
pose_stats and/or clip, clip_index, clip_stats. Outputs: metrics, predictions.
Parameters: run, decode_gloss, evaluation.
"""

import torch

from signloom.evaluation.datasets import add_signers
from signloom.evaluation.gloss_model import evaluate, load_run, open_rows
from signloom.features.gloss_rows import RowFiles
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import DecodeGlossParams, GlossRunParams
from signloom.text.glosses import read_gloss_lines
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    trained = load_run(job.input("checkpoint"), job.section("run", GlossRunParams), job.input("glosses"))
    answers, metrics = evaluate(
        trained,
        open_rows(job.input_files(RowFiles), job.input("gloss_lines"), trained),
        read_splits(job.input("splits")),
        read_gloss_lines(job.input("gloss_lines"))["gloss"].to_dict(),
        job.section("decode_gloss", DecodeGlossParams),
        job.section("evaluation", EvaluationParams),
    )
    add_signers(answers, job.input("metadata"))
    write_csv(job.output("predictions"), answers)
    write_metrics(job.output("metrics"), metrics)


main = entry_point(work)
