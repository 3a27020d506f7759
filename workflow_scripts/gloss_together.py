"""Decode every held-out clip with all seeds of a gloss network together, and score the gloss sequences.

Inputs: checkpoint (one per seed, the first seed first), splits, glosses, gloss_lines, metadata; pose,
pose_index, mask (one of each per shard), pose_stats and/or clip, clip_index, clip_stats. Outputs: metrics,
predictions. Parameters: run, runs.more_seeds, decode_gloss, evaluation.
"""

import torch

from signloom.evaluation.datasets import add_signers
from signloom.evaluation.gloss_model import load_run, open_rows
from signloom.evaluation.gloss_together import evaluate_together
from signloom.features.gloss_rows import RowFiles
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import DecodeGlossParams, GlossRunParams
from signloom.params.runs import RunsParams
from signloom.text.glosses import read_gloss_lines
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    run = job.section("run", GlossRunParams)
    seeds = [run.seed, *job.value("runs.more_seeds", RunsParams)]
    trained = [
        load_run(path, run.model_copy(update={"seed": seed}), job.input("glosses"))
        for path, seed in zip(job.input_list("checkpoint"), seeds, strict=True)
    ]
    # every seed was trained with the same statistics
    rows = [open_rows(job.input_files(RowFiles), job.input("gloss_lines"), one) for one in trained]
    answers, metrics = evaluate_together(
        trained,
        rows[0],
        read_splits(job.input("splits")),
        read_gloss_lines(job.input("gloss_lines"))["gloss"].to_dict(),
        job.section("decode_gloss", DecodeGlossParams),
        job.section("evaluation", EvaluationParams),
    )
    add_signers(answers, job.input("metadata"))
    write_csv(job.output("predictions"), answers)
    write_metrics(job.output("metrics"), metrics)


main = entry_point(work)
