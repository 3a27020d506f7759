"""Train the landmarks-to-sentence model.

Inputs: features, mask, index (one of each per shard), stats, splits, texts, embeddings, tokenizer, glosses,
gloss_lines.
Outputs: best, latest (checkpoints), history (CSV), metrics (one JSON line per epoch).
Parameters: run, sign2text, augment, text, positions.
"""

from signloom.training.progress import TrainedFiles
from signloom.training.sentences.corpus import SentenceFiles
from signloom.training.sentences.train import SentenceTraining, train
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    trained = TrainedFiles(*map(job.output, ("best", "latest", "history", "metrics")))
    train(job.input_files(SentenceFiles), trained, job.sections(SentenceTraining), job.scratch())


main = entry_point(work)
