"""Find each held-out clip's sentence among the training clips and among the other held-out clips.

Untrained rivals search the same clips by their raw features. If the texts are isolated signs, accuracy by
class and intervals over signers are added. Inputs: embeddings, map, splits, metadata; features, mask, index
(one of each per shard), stats. Outputs: metrics, predictions. Parameters: evaluation, sign2text.task.
"""

from signloom.evaluation.datasets import EmbeddedClips, add_signers, data_sets, signers_of
from signloom.evaluation.retrieval import evaluate
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.sign2text import Sign2TextParams
from signloom.text.sentences import read_splits
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    signs = job.value("sign2text.task", Sign2TextParams) == "signs"
    clips, splits = EmbeddedClips(job.input("embeddings"), job.input("map")), read_splits(job.input("splits"))
    answers, metrics = evaluate(
        clips,
        data_sets(splits),
        FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask")),
        Stats.read(job.input("stats")),
        job.section("evaluation", EvaluationParams),
        signers_of(job.input("metadata")) if signs else None,
    )
    add_signers(answers, job.input("metadata"))
    write_csv(job.output("predictions"), answers)
    write_metrics(job.output("metrics"), metrics)


main = entry_point(work)
