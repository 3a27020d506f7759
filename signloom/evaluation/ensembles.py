"""All seeds of a fold together: clips are compared by the mean of the cosines that the seeds' models give."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.adapted import rank_adapted
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.found_in_folds import share_found
from signloom.metrics.retrieval import rank_sentences
from signloom.metrics.signs import ADAPTED
from signloom.params.evaluation import EvaluationParams
from signloom.run_names import folder_after

Files = Sequence[tuple[Path, Path]]


def ensembles(
    found: pd.DataFrame, files: Files, signers: Mapping[str, str], params: EvaluationParams
) -> dict[str, Any]:
    """Return by model: seeds, clips, signers, and the share of clips that all seeds together find first.

    For signs, `adapted` is the share by prototypes that were adapted to each signer. `found` has the clips
    that folds left out, as in `found_in_folds`. `files` are embeddings.npy and its map of every run, and
    `signers` names who signs each clip. A model whose folds have one seed has no entry.
    """
    figures: dict[str, Any] = {}
    signs = set(found["model"][found["finder"] == ADAPTED])
    for model, mine in found[found["finder"] == ""].groupby("model", sort=False):
        answers: dict[str, list[pd.DataFrame]] = {}
        counts = set()
        for fold, asked in mine.groupby("fold", sort=False):
            paths = [pair for pair in files if _run(pair[0]) == (str(model).partition("-")[2], fold)]
            counts.add(len(paths))
            if len(paths) > 1:
                once = asked.drop_duplicates("clip_id")
                for finder, table in _answers(once, paths, signers if model in signs else None).items():
                    answers.setdefault(finder, []).append(table)
        if answers and len(counts) > 1:
            raise SignloomError(f"runs: folds of {model} have different numbers of seeds: {sorted(counts)}")
        if answers:
            shares = {finder: share_found(pd.concat(tables), params) for finder, tables in answers.items()}
            figures[str(model)] = {"seeds": counts.pop(), **shares.pop(""), **shares}
    return figures


def _run(path: Path) -> tuple[str, str]:
    """Return variant and fold of the run that wrote `path`."""
    return folder_after(path, "variants"), folder_after(path, "folds")


def _answers(asked: pd.DataFrame, paths: Files, signers: Mapping[str, str] | None) -> dict[str, pd.DataFrame]:
    """Return `asked` (one row per clip) with `errors` of the mean cosine over the models of `paths`.

    The table has the key "". With `signers`, that of prototypes adapted to each has the key `ADAPTED`.
    """
    models = [EmbeddedClips(*pair) for pair in paths]
    clips = models[0]
    for (path, _), model in zip(paths, models, strict=True):
        if model.table["clip_id"].tolist() != clips.table["clip_id"].tolist():
            raise SignloomError(f"{path} has other clips than {paths[0][0]}; run stage embed again")
    # the product of two joined rows is the mean of the models' cosines
    vectors = np.concatenate([model.vectors for model in models], axis=1) / np.sqrt(np.float32(len(models)))
    sentences = clips.table["sentence_id"].to_numpy(np.int64)
    rows, gallery = clips.rows(asked["clip_id"].tolist()), clips.gallery()
    ranks = {"": rank_sentences(vectors[rows], sentences[rows], vectors[gallery], sentences[gallery]).rank}
    if signers is not None:
        ranks[ADAPTED] = rank_adapted(vectors, clips.table, rows, signers)
    return {
        name: asked.assign(errors=(rank != 1).astype(int))[~np.isnan(rank)] for name, rank in ranks.items()
    }
