"""Decode every held-out clip with every decoder of a gloss network, and score the gloss sequences."""

from __future__ import annotations

import sys

import pandas as pd
import torch

from signloom.decoding.language_model import GlossNgram
from signloom.errors import SignloomError
from signloom.evaluation.datasets import TOGETHER, data_sets
from signloom.evaluation.gloss import Answers, random_weights, score_glosses
from signloom.evaluation.gloss_model import (
    Decoded,
    TrainedGloss,
    decode_clips,
    decoders,
    load_gloss,
    open_rows,
)
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import DecodeGlossParams, GlossRunParams
from signloom.stage import Job, run_stage
from signloom.text.glosses import read_gloss_lines, read_vocabulary
from signloom.text.normalise import scored_glosses
from signloom.text.sentences import read_splits
from signloom.text.vocabulary import UNK


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    p = job.section("decode_gloss", DecodeGlossParams)
    evaluation = job.section("evaluation", EvaluationParams)
    trained = load_run(job)
    rows = open_rows(job, trained)
    splits = read_splits(job.input("splits")).set_index("clip_id", drop=False)
    signer = pd.read_parquet(job.input("metadata")).set_index("clip_id")["signer_id"]
    lines = read_gloss_lines(job.input("gloss_lines"))
    lost = [clip for clip in splits["clip_id"][splits["sentence_id"] >= 0] if clip not in lines]
    if lost:
        raise SignloomError(
            f"{len(lost)} clips of splits.csv have no gloss line (first: {lost[0]}); build stage text again"
        )
    by_name = decoders(trained.model, p, language_model(trained, splits, lines, p))
    metrics, tables, said = {}, [], {}
    for name, clip_ids in data_sets(splits).items():
        decoded = decode_clips(trained, rows, clip_ids, by_name, p.batch_size, f"decode {name}")
        references = [scored_glosses(lines[clip], p.normalisation) for clip in clip_ids]
        found = {
            decoder: [scored_glosses(line, p.normalisation) for line in answers]
            for decoder, answers in decoded.lines.items()
        }
        said[name] = Answers(references, found, decoded.blanks)
        metrics[name] = score_glosses(said[name], p.normalisation, evaluation)
        table = splits.loc[clip_ids, ["clip_id", "sentence_id", "seen"]].reset_index(drop=True)
        table.insert(0, "data", name)
        table.insert(2, "signer_id", signer.loc[clip_ids].to_numpy())
        for column, glosses in {"reference": references, **found}.items():
            table[column] = [" ".join(line) for line in glosses]
        table[["blank_frames", "frames"]] = decoded.blanks.astype("int64")
        tables.append(table)
        report_times(name, decoded, len(clip_ids))
    for name, parts in TOGETHER.items():
        metrics[name] = score_glosses(Answers.of([said[part] for part in parts]), p.normalisation, evaluation)
    said_of_all = random_weights(trained.backbone)
    write_csv(job.output("predictions"), pd.concat(tables, ignore_index=True))
    write_metrics(job.output("metrics"), {name: entries | said_of_all for name, entries in metrics.items()})


def load_run(job: Job) -> TrainedGloss:
    """Load the checkpoint; raises SignloomError if its run or its vocabulary is another one."""
    path, run = job.input("checkpoint"), job.section("run", GlossRunParams)
    trained = load_gloss(path)
    if trained.run != run.model_dump():
        raise SignloomError(f"{path} is of run {trained.run}, expected {run.model_dump()}; train it again")
    if trained.vocabulary != read_vocabulary(job.input("glosses")):
        raise SignloomError(
            f"{path} was trained with another vocabulary than {job.input('glosses')}; train it again"
        )
    return trained


def language_model(
    trained: TrainedGloss, splits: pd.DataFrame, lines: dict[str, str], p: DecodeGlossParams
) -> GlossNgram | None:
    """Return the n-gram model of the training clips' glosses, or None if its weight is 0."""
    if not p.lm_weight:
        return None
    place = {gloss: number for number, gloss in enumerate(trained.vocabulary)}
    training = splits["clip_id"][(splits["split"] == "train") & (splits["sentence_id"] >= 0)]
    ids = [[place.get(gloss, UNK) for gloss in lines[clip].split()] for clip in sorted(training)]
    return GlossNgram([line for line in ids if line], len(place), p.lm_order).to(trained.device)


def report_times(name: str, decoded: Decoded, clips: int) -> None:
    """Print the milliseconds per clip of the encoder and of each decoder."""
    if clips:
        each = ", ".join(f"{part} {1000 * wall / clips:.2f}" for part, wall in decoded.seconds.items())
        print(f"{name}: {clips} clips, ms per clip: {each}", flush=True)


def main(argv: list[str] | None = None) -> int:
    return run_stage("evaluate_gloss", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
