"""Compare the gloss variants over all seeds; write metrics, a table and a text that sums them up.

Inputs: metrics, predictions, epochs (one of each per run). Outputs: metrics, table, text.
Parameters: gloss, evaluation, runs.seed, runs.more_seeds.
"""

from signloom.evaluation.ablation import compare, describe, read_runs, table
from signloom.files import write_csv, write_text
from signloom.metrics.metric_files import meaningful, write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import GlossParams
from signloom.params.runs import RunsParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    names = ("metrics", "predictions", "epochs")
    params = job.section("gloss", GlossParams)
    seeds = [job.value("runs.seed", RunsParams), *job.value("runs.more_seeds", RunsParams)]
    runs, epochs = read_runs(params.variants, seeds, *(job.input_list(name) for name in names))
    compared = compare(runs, epochs, params.hypotheses, job.section("evaluation", EvaluationParams))
    text = describe(compared, params.hypotheses)
    write_csv(job.output("table"), table(meaningful(compared)))
    write_metrics(job.output("metrics"), compared)
    write_text(job.output("text"), text + "\n")
    print(text)


main = entry_point(work)
