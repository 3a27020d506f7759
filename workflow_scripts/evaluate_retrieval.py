"""Find each held-out clip's sentence among the training clips and among the other held-out clips.

Untrained rivals search the same clips by their raw features. Inputs: embeddings, map, splits; features, mask,
index (one of each per shard), stats. Outputs: metrics, predictions. Parameters: evaluation.
"""

from signloom.evaluation.datasets import EmbeddedClips, data_sets
from signloom.evaluation.retrieval import evaluate
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    clips, splits = EmbeddedClips(job.input("embeddings"), job.input("map")), read_splits(job.input("splits"))
    answers, metrics = evaluate(
        clips,
        data_sets(splits),
        FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask")),
        Stats.read(job.input("stats")),
        job.section("evaluation", EvaluationParams),
    )
    write_csv(job.output("predictions"), answers)
    write_metrics(job.output("metrics"), metrics)


main = entry_point(work)
