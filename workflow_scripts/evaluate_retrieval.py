"""Find each held-out clip's sentence among the training clips and among the other held-out clips."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd

from signloom.evaluation.datasets import EmbeddedClips, data_sets
from signloom.files import write_csv
from signloom.metrics.metric_files import write_metrics
from signloom.metrics.retrieval import Ranked, rank_leaving_one_out, rank_sentences, retrieval_figures
from signloom.params.evaluation import EvaluationParams
from signloom.stage import Job, run_stage
from signloom.text.sentences import read_splits


def work(job: Job) -> None:
    params = job.section("evaluation", EvaluationParams)
    clips = EmbeddedClips(job.input("embeddings"), job.input("map"))
    sentences = clips.table["sentence_id"].to_numpy(np.int64)
    gallery = clips.gallery()
    metrics: dict[str, Any] = {}
    tables = []
    for name, clip_ids in data_sets(read_splits(job.input("splits"))).items():
        rows = clips.rows(clip_ids)
        found = rank_sentences(
            clips.vectors[rows], sentences[rows], clips.vectors[gallery], sentences[gallery]
        )
        among = rank_leaving_one_out(
            clips.vectors[rows], sentences[rows], clips.vectors[gallery], sentences[gallery]
        )
        metrics[name] = {
            **retrieval_figures(found, params, "the training gallery"),
            "leave_one_out": retrieval_figures(among, params, "the gallery and the rest of this data set"),
        }
        tables.append(predictions(name, clips.table.iloc[rows], found, clips.table.iloc[gallery], among))
    write_csv(job.output("predictions"), pd.concat(tables, ignore_index=True))
    write_metrics(job.output("metrics"), metrics)


def predictions(
    name: str, clips: pd.DataFrame, found: Ranked, gallery: pd.DataFrame, among: Ranked
) -> pd.DataFrame:
    """Return one row per query: the rank of its sentence and the most similar training clip."""
    top = gallery.iloc[found.top] if len(gallery) else clips.assign(clip_id="", sentence_id=-1, sentence="")
    return pd.DataFrame(
        {
            "clip_id": clips["clip_id"].to_numpy(),
            "data": name,
            "sentence_id": clips["sentence_id"].to_numpy(),
            "rank": pd.array(found.rank, dtype="Int64"),
            "top_clip_id": top["clip_id"].to_numpy(),
            "top_sentence_id": top["sentence_id"].to_numpy(),
            "top_sentence": top["sentence"].to_numpy(),
            "similarity": found.similarity.round(6),
            "rank_leave_one_out": pd.array(among.rank, dtype="Int64"),
        }
    )


def main(argv: list[str] | None = None) -> int:
    return run_stage("evaluate_retrieval", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
