"""Summarise all seeds and folds of every model: mean, spread, scores of what was left out, learning curve.

Inputs: predictions (sign2text.csv and one file per gloss variant), retrieval (retrieval.csv, optional),
embeddings and map (of every run) and metadata if folds have several seeds, splits (splits.json of every
fold). Files of further seeds lie below `seeds/<seed>/`, those of folds below `folds/<fold>/`. Outputs:
metrics, table.
Parameters: runs, evaluation, gloss.hypotheses.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from signloom.evaluation.build_differences import compare_models
from signloom.evaluation.datasets import signers_of
from signloom.evaluation.ensembles import ensembles
from signloom.evaluation.found_in_folds import found_in_folds, read_found
from signloom.evaluation.learning_curve import learning_curve
from signloom.evaluation.runs import SENTENCES, left_out, read_answers, summarise, table
from signloom.files import write_csv
from signloom.metrics.metric_files import meaningful, write_metrics
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import GlossParams
from signloom.params.runs import RunsParams
from signloom.progress import track
from signloom.run_names import folder_after
from workflow_scripts.job import Job, entry_point


def work(job: Job) -> None:
    answers = read_answers(track(job.input_list("predictions"), "answers", unit="run"))
    params = job.section("runs", RunsParams)
    evaluation = job.section("evaluation", EvaluationParams)
    found = summarise(answers, params.fold_by, evaluation)
    variants = [(name, SENTENCES) for name in answers["model"].unique() if name.startswith(f"{SENTENCES}-")]
    expected = [(it.better, it.worse) for it in job.value("gloss.hypotheses", GlossParams)]
    found["variants"] = compare_models(answers[answers["fold"] == ""], variants, evaluation)
    pooled = left_out(answers, params.fold_by).assign(data="folds")
    found["folds_compared"] = compare_models(pooled, [*expected, *variants], evaluation)
    searched = left_out(read_found(job.inputs.get("retrieval", [])), params.fold_by)
    if len(searched):
        found["retrieval"] = found_in_folds(searched, evaluation)
        files = zip(job.inputs.get("embeddings", []), job.inputs.get("map", []), strict=True)
        signers = signers_of(job.input("metadata")) if "metadata" in job.inputs else {}
        for model, together in ensembles(searched, list(files), signers, evaluation).items():
            found["retrieval"][model]["ensemble"] = together
    if params.fold_by == "share" and params.folds:
        clips = training_clips(job.input_list("splits"))
        found["learning_curve"] = learning_curve(answers, clips, evaluation)
    rows = table(answers)
    write_csv(job.output("table"), rows.assign(wer=[meaningful(rate) for rate in rows["wer"]]))
    write_metrics(job.output("metrics"), found)
    print(rows.to_string(index=False))
    for model, curve in found.get("learning_curve", {}).items():
        print(f"{model}: {curve['answer']}")


def training_clips(splits: Sequence[Path]) -> dict[str, int]:
    """Return the number of training clips of every fold, and of "" without one, from its splits.json."""
    return {
        folder_after(path, "folds"): json.loads(path.read_text("utf-8"))["train"]["clips"] for path in splits
    }


main = entry_point(work)
