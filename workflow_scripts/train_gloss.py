"""Train one variant of the gloss family with one seed.

Inputs: splits, glosses, gloss_lines; pose, pose_index, mask (one of each per shard), pose_stats and/or clip,
clip_index, clip_stats; for hybrid_clip_aug also copies, copies_index.
Outputs: best, latest (checkpoints), history (CSV), metrics (one JSON line per epoch).
Parameters: the fields of `GlossTraining`.
"""

from signloom.training.glosses.corpus import GlossFiles
from signloom.training.glosses.train import GlossTraining, train
from signloom.training.progress import TrainedFiles
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    trained = TrainedFiles(*map(job.output, ("best", "latest", "history", "metrics")))
    train(job.input_files(GlossFiles), trained, job.sections(GlossTraining), job.scratch())


main = entry_point(work)
