"""Choose the acceptance thresholds from validation clips and from clips that should be refused.

The thresholds accept the most in-set clips with their own sentence, while at most
`inference.max_false_accept_rate` of the other clips are accepted. Among equals, the loosest are chosen.

Inputs: checkpoint, features, mask, index (one of each per shard), stats, splits, embeddings, map, frames,
frames_index, prototypes. Outputs: thresholds, curve, predictions, metrics.
Parameters: inference.max_false_accept_rate, inference.seed, quality, pose, evaluation.
"""

import sys

import torch

from signloom.evaluation.acceptance import acceptance_figures, answer_table
from signloom.evaluation.calibration import calibrate, curve_table, thresholds_entries
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.gate_inputs import TrainedGallery
from signloom.evaluation.outofset import Questions
from signloom.features.shards import FeatureShards
from signloom.files import write_csv, write_json
from signloom.inference.gates import judge
from signloom.metrics.metric_files import write_metrics
from signloom.models.trained_sign2text import load_trained
from signloom.params.evaluation import EvaluationParams, InferenceParams
from signloom.params.features import GateParams, PoseParams
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    limit = job.value("inference.max_false_accept_rate", InferenceParams)
    quality = job.section("quality", GateParams)
    floor = 0.0 if quality.keep_low else quality.motion_floor
    trained = load_trained(job.input("checkpoint"), job.input("stats"))
    shards = FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask"))
    fps = job.section("pose", PoseParams).fps
    seed = job.value("inference.seed", InferenceParams)
    known = TrainedGallery(
        EmbeddedClips(job.input("embeddings"), job.input("map")),
        job.input("prototypes"),
        job.input("frames"),
        job.input("frames_index"),
    )
    sentences = known.gallery.sentences.tolist()
    questions = Questions(read_splits(job.input("splits")), "val", shards, fps, seed, sentences)
    gate_inputs = known.ask(trained, questions)
    found = known.gallery.sentences[gate_inputs.place]
    right = questions.right(found)
    calibrated = calibrate(gate_inputs, right, questions.out, floor, limit)
    if calibrated.reason:
        print(f"warning: calibrate: {calibrated.reason}", file=sys.stderr)
    answers = answer_table(questions, gate_inputs, found, judge(gate_inputs, calibrated.thresholds))
    figures = acceptance_figures(answers, job.section("evaluation", EvaluationParams))
    chosen = thresholds_entries(calibrated, limit, figures)
    write_csv(job.output("curve"), curve_table(calibrated, gate_inputs, right, questions.kinds))
    write_csv(job.output("predictions"), answers)
    write_metrics(job.output("metrics"), {"val": figures})
    write_json(job.output("thresholds"), chosen)


main = entry_point(work)
