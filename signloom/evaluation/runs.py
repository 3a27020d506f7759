"""What seeds and folds say about every model: means, spreads, and pooled scores of clips left out in turn."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from signloom.evaluation.datasets import NAMES
from signloom.files import read_csv
from signloom.metrics.bootstrap import deviation, ratio
from signloom.metrics.signers import signer_figure
from signloom.metrics.wer import edit_stats, wer_stats
from signloom.params.evaluation import EvaluationParams
from signloom.params.splits import FoldBy
from signloom.params.variants import VARIANTS
from signloom.run_names import folder_after

SENTENCES = "sign2text"
_KEPT = ["data", "clip_id", "signer_id", "reference", "answer"]
# data sets that a fold leaves out of training
_LEFT_OUT = {
    "signer": ("test", "test_unseen_sentences"),
    "clip": ("val", "val_unseen_sentences"),
    "part": ("test", "test_unseen_sentences"),
    "share": (),
}


def read_answers(predictions: Iterable[Path]) -> pd.DataFrame:
    """Return `model, seed, fold, data, clip_id, signer_id, reference, answer, errors, words` by run and clip.

    A gloss variant is represented by its headline decoder. A variant of sign2text has the model
    `sign2text-<variant>`. `seed` and `fold` are "" for the first seed and without a fold, as in the paths.
    Clips without a word in the reference are left out. An isolated sign is one word.
    """
    columns = ["model", "seed", "fold", *_KEPT, "errors", "words"]
    tables = [_answers(path) for path in predictions]
    return pd.concat([pd.DataFrame(columns=columns), *tables], ignore_index=True)


def _answers(path: Path) -> pd.DataFrame:
    table = read_csv(path, dtype=str, keep_default_na=False)
    if path.stem == SENTENCES:
        table = table.rename(columns={"hypothesis": "answer"})
        errors, words = wer_stats(table["reference"].tolist(), table["answer"].tolist()).T
        if "nearest_id" in table:  # a sign is right or wrong, whatever words its name has
            wrong = table["nearest_id"] != table["sentence_id"]
            errors, words = wrong.to_numpy(np.float64), np.ones(len(table))
    else:
        table = table.rename(columns={VARIANTS[path.stem].headline: "answer"})
        errors, words = edit_stats(table["reference"].str.split(), table["answer"].str.split()).T
    table = table[_KEPT].assign(errors=errors, words=words)
    variant = folder_after(path, "variants")
    run = {"model": f"{path.stem}-{variant}" if variant else path.stem}
    run |= {"seed": folder_after(path, "seeds"), "fold": folder_after(path, "folds")}
    return table[table["words"] > 0].assign(**run)


def summarise(answers: pd.DataFrame, fold_by: FoldBy, params: EvaluationParams) -> dict[str, Any]:
    """Return `seeds` and `folds`, each by model.

    `seeds` has the mean and the sample deviation of the word error rate by data set. `folds` has the pooled
    rate of all clips that a fold left out, an interval over signers, the deviation over folds, and the rate
    of every fold. The seeds of a fold are averaged for each clip. Shares leave out no clips to pool.
    """
    found: dict[str, Any] = {"seeds": {}, "folds": {}}
    for model, mine in answers.groupby("model", sort=False):
        found["seeds"][str(model)] = _seeds(mine[mine["fold"] == ""])
        pooled = left_out(mine, fold_by)
        if len(pooled):
            found["folds"][str(model)] = _folds(pooled, params)
    return found


def left_out(answers: pd.DataFrame, fold_by: FoldBy) -> pd.DataFrame:
    """Return the answers to clips by runs of the fold that left them out of training."""
    return answers[(answers["fold"] != "") & answers["data"].isin(_LEFT_OUT[fold_by])]


def _rate(table: pd.DataFrame) -> float:
    return float(table["errors"].sum() / table["words"].sum())


def _seeds(table: pd.DataFrame) -> dict[str, Any]:
    entries: dict[str, Any] = {"seeds": int(table["seed"].nunique())}
    for data in NAMES:
        part = table[table["data"] == data]
        if len(part):
            rates = [_rate(run) for _, run in part.groupby("seed", sort=False)]
            entries[data] = {"n": int(part["clip_id"].nunique()), "wer": float(np.mean(rates))}
            entries[data] |= deviation("wer", rates, "one seed has no spread")
    return entries


def _folds(table: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    by_fold = {str(name): _rate(fold) for name, fold in table.groupby("fold", sort=False)}
    clips = table.groupby("clip_id", sort=True).agg({"signer_id": "first", "errors": "sum", "words": "sum"})
    stats, signers = clips[["errors", "words"]].to_numpy(np.float64), clips["signer_id"].tolist()
    pooled = signer_figure("wer", stats, signers, ratio, params.bootstrap, params.seed, "no reference word")
    counts = {"folds": len(by_fold), "n": len(clips), "signers": len(set(signers) - {""})}
    spread = deviation("wer", list(by_fold.values()), "one fold has no spread")
    return counts | pooled | spread | {"by_fold": by_fold}


def table(answers: pd.DataFrame) -> pd.DataFrame:
    """Return `model, seed, fold, data, n, wer`, one row per run and data set."""
    rows = [
        (*key, len(part), _rate(part))
        for key, part in answers.groupby(["model", "seed", "fold", "data"], sort=False)
    ]
    return pd.DataFrame(rows, columns=["model", "seed", "fold", "data", "n", "wer"])
