"""Find each gloss by one training example in the held-out clips; score which are found, and where.

Inputs: checkpoint, splits, glosses, gloss_lines; pose, pose_index, mask (one of each per shard), pose_stats
and/or clip, clip_index, clip_stats. Outputs: places, metrics.
Parameters: run, decode_gloss.batch_size, evaluation; and pose.smoothing, pose.fps if the rows are smoothed.
"""

import torch

from signloom.evaluation.gloss_model import load_run, open_rows
from signloom.evaluation.spot import score_spotting, spot_glosses
from signloom.features.gloss_rows import RowFiles
from signloom.files import write_parquet
from signloom.inference.gloss_places import delay_rows
from signloom.metrics.metric_files import write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.features import PoseParams
from signloom.params.gloss import DecodeGlossParams, GlossRunParams
from signloom.text.glosses import read_gloss_lines
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    trained = load_run(job.input("checkpoint"), job.section("run", GlossRunParams), job.input("glosses"))
    splits = read_splits(job.input("splits"))
    table = spot_glosses(
        trained,
        open_rows(job.input_files(RowFiles), job.input("gloss_lines"), trained),
        splits,
        read_gloss_lines(job.input("gloss_lines")),
        job.value("decode_gloss.batch_size", DecodeGlossParams),
        _delay_s(job),
    )
    write_parquet(job.output("places"), table)
    params = job.section("evaluation", EvaluationParams)
    write_metrics(job.output("metrics"), score_spotting(table, splits, params))


def _delay_s(job: Job) -> float:
    """Return by how many seconds the rows are late, 0 if they are not smoothed."""
    if "pose" not in job.params:
        return 0.0
    return delay_rows(job.value("pose.smoothing", PoseParams)) / float(job.value("pose.fps", PoseParams))


main = entry_point(work)
