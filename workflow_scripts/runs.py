"""Summarise all seeds and folds of every model: mean, spread, and scores of what was left out in turn.

Inputs: predictions (sign2text.csv and one file per gloss variant; those of further seeds lie below
`seeds/<seed>/`, those of folds below `folds/<fold>/`). Outputs: metrics, table. Parameters: runs, evaluation.
"""

from __future__ import annotations

from signloom.evaluation.runs import read_answers, summarise, table
from signloom.files import write_csv
from signloom.metrics.metric_files import meaningful, write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.runs import RunsParams
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    answers = read_answers(job.input_list("predictions"))
    params = job.section("runs", RunsParams)
    found = summarise(answers, params.fold_by, job.section("evaluation", EvaluationParams))
    rows = table(answers)
    write_csv(job.output("table"), rows.assign(wer=[meaningful(rate) for rate in rows["wer"]]))
    write_metrics(job.output("metrics"), found)
    print(rows.to_string(index=False))


main = entry_point(work)
