"""Compare one gloss variant under several settings; write a metric file, a table and a summary in words.

Inputs: metrics, predictions (those of evaluate_gloss, one of each per setting and seed, as
`<setting>/<run>/<file>`). Outputs: metrics, table. Parameters: side_by_side, evaluation.
"""

from signloom.evaluation.side_by_side import compare, describe, read_settings, table
from signloom.files import write_csv
from signloom.metrics.metric_files import meaningful, write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.side_by_side import SideBySideParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    params = job.section("side_by_side", SideBySideParams)
    runs = read_settings(params, job.input_list("metrics"), job.input_list("predictions"))
    compared = compare(runs, job.section("evaluation", EvaluationParams))
    text = describe(compared, params)
    write_csv(job.output("table"), table(meaningful(compared)))
    write_metrics(job.output("metrics"), compared | {"text": text})
    print(text)


main = entry_point(work)
