"""Score an exported bundle on test clips and on clips that ought to be refused; time its answers.

Inputs: bundle (the zip file), features, mask, index, splits. Outputs: metrics, predictions. Times go to
`benchmarks/latency.json` beside the folder of predictions: no output, as they differ from run to run.
"""

from __future__ import annotations

import sys

import numpy as np

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
from signloom.params.evaluation import EvaluationParams, InferenceParams
from signloom.params.features import PoseParams
from signloom.stage import Job, run_stage
from signloom.text.sentences import read_splits


def work(job: Job) -> None:
    params = job.section("evaluation", EvaluationParams)
    bundle = job.input("bundle")
    engine, int8 = (SignEngine.load(bundle, threads=1, int8=small) for small in (False, True))
    questions = Questions(
        read_splits(job.input("splits")),
        "test",
        FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask")),
        job.section("pose", PoseParams).fps,
        job.section("inference", InferenceParams).seed,
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
    write_json(job.output("metrics"), {"test": metrics})
    times = {"clip": latencies(engine, questions, inside)}
    write_json(predictions.parent.parent / "benchmarks" / "latency.json", times)


def main(argv: list[str] | None = None) -> int:
    return run_stage("evaluate_inference", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
