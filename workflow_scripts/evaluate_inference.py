"""Score an exported bundle on test clips and on clips that should be refused; time its answers.

Inputs: bundle (the zip file), features, mask, index, splits and, if clips are videos, shards (every shard
list) for the latency of streaming. Outputs: metrics, predictions, latency (which differs from run to run).
Parameters: inference.seed, pose, evaluation.
"""

from signloom.evaluation.inference import evaluate, latencies, streamed_videos
from signloom.evaluation.outofset import Questions
from signloom.features.shards import FeatureShards
from signloom.files import write_csv, write_json
from signloom.inference.engine import SignEngine
from signloom.inference.stream import stream_latency
from signloom.metrics.metric_files import write_metrics
from signloom.params.evaluation import EvaluationParams, InferenceParams
from signloom.params.features import PoseParams
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    bundle = job.input("bundle")
    engine = SignEngine.load(bundle, threads=1)
    shards = FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask"))
    fps, seed = job.section("pose", PoseParams).fps, job.value("inference.seed", InferenceParams)
    sentences = engine.gallery.sentences.tolist()
    questions = Questions(read_splits(job.input("splits")), "test", shards, fps, seed, sentences)
    answers, metrics = evaluate(bundle, engine, questions, job.section("evaluation", EvaluationParams))
    write_csv(job.output("predictions"), answers)
    write_metrics(job.output("metrics"), {"test": metrics})
    times = {"clip": latencies(engine, questions)}
    if "shards" in job.inputs:
        times["stream"] = stream_latency(engine, streamed_videos(job.input_list("shards"), questions))
    write_json(job.output("latency"), times)


main = entry_point(work)
