"""All seeds of a fold together: clips are compared by the mean of the cosines that the seeds' models give."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.found_in_folds import share_found
from signloom.metrics.retrieval import rank_sentences
from signloom.params.evaluation import EvaluationParams
from signloom.run_names import folder_after

Files = Sequence[tuple[Path, Path]]


def ensembles(found: pd.DataFrame, files: Files, params: EvaluationParams) -> dict[str, Any]:
    """Return by model: seeds, clips, signers, and the share of clips that all seeds together find first.

    `found` has the clips that folds left out, as in `found_in_folds`. `files` are embeddings.npy and its map
    of every run. A model whose folds have one seed has no entry.
    """
    figures: dict[str, Any] = {}
    for model, mine in found[found["finder"] == ""].groupby("model", sort=False):
        answers, counts = [], set()
        for fold, asked in mine.groupby("fold", sort=False):
            paths = [pair for pair in files if _run(pair[0]) == (str(model).partition("-")[2], fold)]
            counts.add(len(paths))
            if len(paths) > 1:
                answers.append(_answers(asked.drop_duplicates("clip_id"), paths))
        if answers:
            if len(counts) > 1:
                raise SignloomError(
                    f"runs: folds of {model} have different numbers of seeds: {sorted(counts)}"
                )
            figures[str(model)] = {"seeds": counts.pop(), **share_found(pd.concat(answers), params)}
    return figures


def _run(path: Path) -> tuple[str, str]:
    """Return variant and fold of the run that wrote `path`."""
    return folder_after(path, "variants"), folder_after(path, "folds")


def _answers(asked: pd.DataFrame, paths: Files) -> pd.DataFrame:
    """Return `asked` (one row per clip) with `errors` of the mean cosine over the models of `paths`."""
    models = [EmbeddedClips(*pair) for pair in paths]
    for (path, _), model in zip(paths, models, strict=True):
        if model.table["clip_id"].tolist() != models[0].table["clip_id"].tolist():
            raise SignloomError(f"{path} has other clips than {paths[0][0]}; run stage embed again")
    # the product of two joined rows is the sum of the models' cosines
    vectors = np.concatenate([model.vectors for model in models], axis=1) / np.sqrt(len(models))
    sentences = models[0].table["sentence_id"].to_numpy(np.int64)
    rows, gallery = models[0].rows(asked["clip_id"].tolist()), models[0].gallery()
    ranked = rank_sentences(vectors[rows], sentences[rows], vectors[gallery], sentences[gallery])
    return asked.assign(errors=(ranked.rank != 1).astype(int))
