"""Find each held-out clip's sentence among the training clips and among the other held-out clips."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from signloom.evaluation.adapted import rank_adapted
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.rivals import Clips, compare_rivals, rank_rivals, raw_clips
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.metrics.retrieval import Ranked, rank_leaving_one_out, rank_sentences, retrieval_figures
from signloom.metrics.signs import ADAPTED, sign_figures
from signloom.params.evaluation import EvaluationParams


def evaluate(
    clips: EmbeddedClips,
    sets: Mapping[str, list[str]],
    shards: FeatureShards,
    stats: Stats,
    params: EvaluationParams,
    signers: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the answers to the clips of all data sets `sets`, one row per clip, and the metric entries.

    `shards` and `stats` are the features that the untrained rivals read. If the texts are isolated signs,
    `signers` gives the signer of every clip. The figures of signs are then among the entries, and again
    after embeddings and prototypes were adapted to each signer's clips.
    """
    sentences, gallery = clips.table["sentence_id"].to_numpy(np.int64), clips.gallery()
    known = (clips.vectors[gallery], sentences[gallery])
    ids = clips.table["clip_id"].to_numpy()
    searched = [clip for clip_ids in sets.values() for clip in clip_ids] + ids[gallery].tolist()
    raw = Clips(raw_clips(shards, stats, searched), dict(zip(ids, sentences.tolist(), strict=True)))
    tables, metrics = [], {}
    for name, clip_ids in sets.items():
        rows = clips.rows(clip_ids)
        found = rank_sentences(clips.vectors[rows], sentences[rows], *known)
        among = rank_leaving_one_out(clips.vectors[rows], sentences[rows], *known)
        rivals = rank_rivals(raw, clip_ids, ids[gallery].tolist())
        metrics[name] = {
            **retrieval_figures(found, params, "the training gallery"),
            "leave_one_out": retrieval_figures(among, params, "the gallery and the rest of this data set"),
            "rivals": compare_rivals(found.rank, rivals, params),
        }
        table = _table(name, clips.table.iloc[rows], found, clips.table.iloc[gallery], among)
        ranks = dict(rivals)
        if signers is not None:
            who = [signers[clip] for clip in clip_ids]
            ranks[ADAPTED] = rank_adapted(clips.vectors, clips.table, rows, signers)
            metrics[name] |= sign_figures(found, sentences[rows], who, params)
            if named := sum(signer != "" for signer in who):
                after = replace(found, rank=ranks[ADAPTED])
                metrics[name][ADAPTED] = {"n": named, **sign_figures(after, sentences[rows], who, params)}
        tables.append(table.assign(**{f"rank_{key}": pd.array(rank, "Int64") for key, rank in ranks.items()}))
    return pd.concat(tables, ignore_index=True), metrics


def _table(
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
