"""Train the landmarks-to-sentence model.

Inputs: features, mask, index (one of each per shard), stats, splits, texts, embeddings, tokenizer.
Outputs: best, latest (checkpoints), history (CSV), metrics (one JSON line per epoch).
Parameters: run, sign2text, augment, text.
"""

from __future__ import annotations

from signloom.training.progress import TrainedFiles
from signloom.training.sentences.corpus import SentenceFiles
from signloom.training.sentences.train import SentenceTraining, train
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    files, trained = job.input_files(SentenceFiles), job.output_files(TrainedFiles)
    train(files, trained, job.sections(SentenceTraining), job.scratch())


main = entry_point(work)
