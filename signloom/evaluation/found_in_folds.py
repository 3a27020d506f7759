"""Retrieval over folds: how often the model and its untrained rivals find clips that training left out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from signloom.evaluation.build_differences import TOP1, compare_answers
from signloom.evaluation.rivals import RIVALS
from signloom.evaluation.runs import SENTENCES
from signloom.files import read_csv
from signloom.metrics.bootstrap import ratio
from signloom.metrics.signers import signer_figure
from signloom.metrics.signs import ADAPTED
from signloom.params.evaluation import EvaluationParams
from signloom.run_names import folder_after

# of the model itself, of the model adapted to each signer, then of its rivals
_RANKS = {"": "rank"} | {name: f"rank_{name}" for name in (ADAPTED, *RIVALS)}


def read_found(predictions: Sequence[Path]) -> pd.DataFrame:
    """Return the table of `runs.read_answers` for files retrieval.csv, with a column `finder`.

    A finder is a rival, "" for the model, or `ADAPTED` for the model with adapted prototypes. A wrong first
    sentence is one error of one word, and `reference` is the id of the sentence. Clips whose sentence is not
    in the gallery are left out.
    """
    columns = [
        "model",
        "finder",
        "seed",
        "fold",
        "data",
        "clip_id",
        "signer_id",
        "reference",
        "errors",
        "words",
    ]
    return pd.concat([pd.DataFrame(columns=columns), *map(_found, predictions)], ignore_index=True)


def _found(path: Path) -> pd.DataFrame:
    texts = {"clip_id": str, "signer_id": str}
    empty = {column: [""] for column in _RANKS.values()}
    table = read_csv(path, dtype=texts, keep_default_na=False, na_values=empty)
    variant = folder_after(path, "variants")
    run = {
        "model": f"{SENTENCES}-{variant}" if variant else SENTENCES,
        "seed": folder_after(path, "seeds"),
        "fold": folder_after(path, "folds"),
    }
    known = table[table["rank"].notna()]
    kept = known[["data", "clip_id", "signer_id"]].assign(reference=known["sentence_id"].astype(str), **run)
    tables = []
    for finder, column in _RANKS.items():
        if column in known:
            rank = known[column].astype(float)
            scored = kept.assign(finder=finder, errors=(rank != 1).astype(int), words=1)
            tables.append(scored[rank.notna()])
    return pd.concat(tables)


def found_in_folds(found: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    """Return by model: clips, signers, shares found first, and the differences from its rivals.

    `found` has the clips that folds left out (`runs.left_out`). The shares have intervals over signers.
    `difference` is the model's share minus the rival's, with intervals over clips and over signers, and a p
    that is corrected over all rivals. The seeds of a fold are averaged for each clip. For signs, `adapted` is
    the share by prototypes that were adapted to each signer.
    """
    figures: dict[str, Any] = {}
    for (model, finder), mine in found.groupby(["model", "finder"], sort=False):
        share = share_found(mine, params)
        if finder == ADAPTED:
            figures[str(model)][ADAPTED] = share
        elif finder:
            figures[str(model)]["rivals"][finder] = share
        else:
            figures[str(model)] = {"folds": int(mine["fold"].nunique()), **share, "rivals": {}}
    own, rivals = found[found["finder"] == ""], found[found["finder"].isin(RIVALS)]
    pairs = rivals["model"] + "/" + rivals["finder"]
    own = pd.concat([own[:0], *(own.assign(model=own["model"] + f"/{name}") for name in RIVALS)])
    same = {"data": "folds"}
    for row in compare_answers(
        rivals.assign(model=pairs, **same), own.assign(**same), params.bootstrap, params.seed, [TOP1]
    ):
        model, _, finder = row.model.partition("/")
        figures[model]["rivals"][finder] |= row.entries()
    return figures


def share_found(table: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    """Return clips, signers and the share of clips without an error, with an interval over signers.

    Several rows of a clip are averaged.
    """
    clips = table.groupby("clip_id", sort=True).agg({"signer_id": "first", "errors": "mean"})
    right, signers = 1 - clips["errors"].to_numpy(np.float64), clips["signer_id"].tolist()
    stats = np.stack([right, np.ones_like(right)], 1)
    return {
        "n": len(clips),
        "signers": len(set(signers) - {""}),
        **signer_figure("ret_top1", stats, signers, ratio, params.bootstrap, params.seed, "no clip"),
    }
