"""Score an exported bundle on test clips and on clips that should be refused; time its answers.

Inputs: bundle (the zip file), features, mask, index, splits and, if clips are videos, shards (every shard
list) for the latency of streaming. Outputs: metrics, predictions. Times go to `benchmarks/latency.json`
beside the folder of predictions. They are not an output, because they differ from run to run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from signloom.evaluation.acceptance import acceptance_figures, answer_table
from signloom.evaluation.inference import (
    answer_questions,
    embed_questions,
    evidence_of,
    fixed_figures,
    int8_figures,
    latencies,
    rerank_figures,
)
from signloom.evaluation.outofset import Questions
from signloom.features.shards import FeatureShards
from signloom.files import write_csv, write_json
from signloom.inference.engine import SignEngine
from signloom.inference.stream import stream_latency
from signloom.metrics.metric_files import write_metrics
from signloom.params.evaluation import EvaluationParams, InferenceParams
from signloom.params.features import PoseParams
from signloom.stage import Job, run_stage
from signloom.text.sentences import read_splits

_STREAMED = 8  # videos that are tracked again as a stream


def work(job: Job) -> None:
    params = job.section("evaluation", EvaluationParams)
    bundle = job.input("bundle")
    engine, int8 = (SignEngine.load(bundle, threads=1, int8=small) for small in (False, True))
    questions = Questions(
        read_splits(job.input("splits")),
        "test",
        FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask")),
        job.section("pose", PoseParams).fps,
        job.value("inference.seed", InferenceParams),
    )
    every, inside = np.arange(len(questions.of)), np.flatnonzero(~questions.out)
    own = questions.sentences[inside]
    answers = answer_questions(engine, questions, every)
    evidence = evidence_of(engine, answers)
    found = engine.gallery.sentences[evidence.place]
    table = answer_table(questions, evidence, found, [answer.reason for answer in answers])
    embeddings = embed_questions(engine, questions, every)
    small = embed_questions(int8, questions, inside)
    cosines = tuple(engine.gallery.by_sentence(part)[0] for part in (embeddings[inside], small))
    reranked = answer_questions(engine, questions, inside, rerank=True)
    metrics = {
        **acceptance_figures(table, params),
        "fixed_thresholds": fixed_figures(engine, questions, embeddings, params),
        "int8": int8_figures(engine.gallery.sentences, own, cosines, params),
        "rerank": rerank_figures(own, [answers[row] for row in inside], reranked, params),
    }
    predictions = job.output("predictions")
    write_csv(predictions, table)
    write_metrics(job.output("metrics"), {"test": metrics})
    times = {"clip": latencies(engine, questions, inside)}
    if "shards" in job.inputs:
        ids = [questions.of[row].clip_id for row in inside]
        times["stream"] = stream_latency(engine, whole_videos(job.input_list("shards"), ids)[:_STREAMED])
    write_json(predictions.parent.parent / "benchmarks" / "latency.json", times)


def whole_videos(shards: list[Path], clip_ids: list[str]) -> list[Path]:
    """Return the videos of `clip_ids`, in their order, that hold exactly one clip."""
    lists = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in shards]
    clips = pd.concat(lists).set_index("clip_id")
    whole = clips[(clips["start_s"] == "") & (clips["end_s"] == "")]["video_path"]
    return [Path(whole[clip_id]) for clip_id in clip_ids if clip_id in whole]


def main(argv: list[str] | None = None) -> int:
    return run_stage("evaluate_inference", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
