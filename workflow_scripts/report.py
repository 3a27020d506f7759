"""Write one self-contained page about a build: scores, corpus, curves, examples, times, provenance.

Inputs: metrics (manifest, features, splits, sign2text and retrieval .json), history (history.csv), epochs
(metrics.jsonl), predictions (sign2text.csv, retrieval.csv), metadata, rejects, splits, index (every
pose-feature parquet). Output: html. Snakemake's benchmark files are read, if there are any, from the folder
`benchmarks` beside the folder of html; they are no dependency, as times differ from run to run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from signloom.errors import SignloomError
from signloom.files import atomic
from signloom.report.page import Sources, read_clips, read_history, read_metrics, read_table, render
from signloom.stage import Job, run_stage


def work(job: Job) -> None:
    predictions = {path.stem: path for path in job.input_list("predictions")}
    for name in ("sign2text", "retrieval"):
        if name not in predictions:
            raise SignloomError(f"report: --input predictions=... lacks {name}.csv")
    history, epochs = job.input("history"), job.input("epochs")
    metadata, rejects, splits = job.input("metadata"), job.input("rejects"), job.input("splits")
    index = job.input_list("index")
    html = job.output("html")
    page = render(
        Sources(
            metrics=read_metrics(job.input_list("metrics")),
            history=read_history(history, epochs),
            translations=read_table(predictions["sign2text"]),
            retrieval=read_table(predictions["retrieval"], ["rank", "similarity"]),
            clips=read_clips(metadata, splits),
            rejects=read_table(rejects),
            index=pd.concat([_diagnostics(path) for path in index], ignore_index=True),
            shards={path.stem for path in index},
            benchmarks=html.parent.parent / "benchmarks",
            files=[*job.input_list("metrics"), history, *predictions.values(), metadata, rejects, splits],
        )
    )
    with atomic(html) as part:
        part.write_text(page, "utf-8")


def _diagnostics(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path, columns=["clip_id", "status", "reason", "motion_mean"])


def main(argv: list[str] | None = None) -> int:
    return run_stage("report", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
