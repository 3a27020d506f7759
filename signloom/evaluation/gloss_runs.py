"""Runs of gloss networks that are compared: what they say, their errors on each clip, how two differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from signloom.console import number_of
from signloom.errors import SignloomError
from signloom.evaluation.datasets import NAMES, TOGETHER
from signloom.evaluation.gloss import ERRORS, WEIGHTS
from signloom.files import read_csv
from signloom.metrics.bootstrap import NO_CLIP, Floats, deviation, figure, ratio
from signloom.metrics.paired import Pair, holm, signer_difference, swap_test
from signloom.metrics.wer import error_stats
from signloom.params.evaluation import EvaluationParams

SETS = (*NAMES, *TOGETHER)
RATES = ("wer", *ERRORS, "sentence_acc")
NO_GLOSS = "no reference gloss in this data set"
NOTHING = "No data set has a reference gloss, so nothing can be said."
ONE_SEED = "There is one seed, so how far another would differ is not known."
_SHOWN = ("test", "test_unseen_sentences", "test_all_sentences")


class Run(NamedTuple):
    """The metric file and the predictions of one training."""

    metrics: dict[str, Any]
    predictions: pd.DataFrame

    @classmethod
    def read(cls, metrics: Path, predictions: Path) -> Run:
        """Read both files."""
        answers = read_csv(predictions, dtype=str, keep_default_na=False)
        return cls(json.loads(metrics.read_text("utf-8")), answers)

    def answers(self, data: str) -> pd.DataFrame:
        """Return the predictions for the clips of the data set `data`."""
        return self.predictions[self.predictions["data"].isin(TOGETHER.get(data, (data,)))]


Runs = dict[str, list[Run]]  # variant or setting: one run per seed


class Errors(NamedTuple):
    """Errors of the runs `name` with one decoder on each clip, summed over `seeds`; its glosses and signer.

    `rates` holds the value of every seed for each of `RATES`. It is empty if no clip has a gloss.
    """

    name: str
    errors: Floats
    words: Floats
    signers: list[str]
    seeds: int
    rates: dict[str, list[float]]


def count_errors(name: str, runs: Sequence[Run], data: str, decoder: str) -> Errors:
    """Return the errors of `decoder` on the clips of `data` with glosses, sorted by id.

    Raises SignloomError if the seeds were not scored on the same clips and references. The rates are computed
    again because a metric file holds rounded values.
    """
    answers = [run.answers(data) for run in runs]
    tables = [table[table["reference"] != ""].sort_values("clip_id", ignore_index=True) for table in answers]
    keys = ["clip_id", "reference"]
    if any(not table[keys].equals(tables[0][keys]) for table in tables):
        raise SignloomError(f"{name}: its seeds were scored on different clips; build the predictions again")
    stats = [error_stats(table["reference"].str.split(), table[decoder].str.split()) for table in tables]
    words = stats[0][:, 3]
    rates: dict[str, list[float]] = {rate: [] for rate in RATES}
    for table, rows in zip(tables, stats, strict=True):
        if len(table):
            by_kind = rows[:, :3].sum(0) / words.sum()
            right = (table["reference"] == table[decoder]).mean()
            for rate, value in zip(RATES, (by_kind.sum(), *by_kind, right), strict=True):
                rates[rate].append(float(value))
    errors = np.sum([rows[:, :3].sum(1) for rows in stats], axis=0)
    return Errors(name, errors, words, tables[0]["signer_id"].tolist(), len(runs), rates)


def paired_difference(one: Errors, other: Errors, params: EvaluationParams) -> dict[str, Any]:
    """Return the `difference` of WER, `one` minus `other`, with intervals over clips and signers, and `p`.

    `p` is not corrected for further comparisons; `correct` does that.
    """
    if not np.array_equal(one.words, other.words):
        raise SignloomError(
            f"{one.name} and {other.name} were scored on different clips; build the predictions again"
        )
    # scale means over seeds to whole numbers, so that their sums are exact
    words = one.words * one.seeds * other.seeds
    mine, theirs = one.errors * other.seeds, other.errors * one.seeds
    draws = params.bootstrap, params.seed
    found = figure("difference", np.stack([mine - theirs, words], 1), ratio, *draws, NO_GLOSS)
    if found["difference"] is None:
        return found
    second, first = (np.stack([errors, words], 1)[None] for errors in (mine, theirs))
    pair = Pair(first, second, ratio, one.signers)
    return found | signer_difference(pair, *draws) | {"p": swap_test(pair, *draws)}


def correct(differences: Iterable[dict[str, Any]]) -> None:
    """Correct the `p` of all `differences`, the rows of one table, for their number (`holm`)."""
    rows = [row for row in differences if "p" in row]
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p"] = p


def spread(name: str, values: Sequence[float], reason: str) -> dict[str, Any]:
    """Return mean and sample deviation of `values`, one per seed; null with `reason` if there are none."""
    if not values:
        return {name: None, f"{name}_reason": reason, f"{name}_std": None, f"{name}_std_reason": reason}
    return {name: float(np.mean(values))} | deviation(name, values, "one seed has no spread")


def entry_of(runs: Sequence[Run], data: str) -> dict[str, Any]:
    """Return the figures that do not depend on the decoder: clips, seeds, and the share of blank frames."""
    scores = runs[0].metrics[data]
    sums = [run.answers(data)[["blank_frames", "frames"]].astype("int64").sum() for run in runs]
    blank = [float(total["blank_frames"] / total["frames"]) for total in sums if total["frames"]]
    weights = {WEIGHTS: scores[WEIGHTS]} if WEIGHTS in scores else {}
    return {"n": scores["n"], "seeds": len(runs), **spread("blank_ratio", blank, NO_CLIP), **weights}


def shown_data(compared: dict[str, Any], decoder: str) -> list[str]:
    """Return the data sets to describe: those of test in which `decoder` was scored, else those of val."""
    scored = [
        data
        for data in SETS
        if any(entry.get(decoder, {}).get("wer") is not None for entry in compared[data].values())
    ]
    return [data for data in _SHOWN if data in scored] or scored


def random_weights(entries: dict[str, Any]) -> str:
    """Return a warning that names the `entries` with clip features from random weights, or ""."""
    names = [name for name, entry in entries.items() if WEIGHTS in entry]
    return f"The clip features of {', '.join(names)} come of random weights: a trial." if names else ""


def clips_and_seeds(entry: dict[str, Any], decoder: str) -> str:
    """Return in words how many clips `decoder` was scored on, which are those with glosses, and seeds."""
    clips, seeds = number_of(entry[decoder]["n"], "clip", "clips"), number_of(entry["seeds"], "seed", "seeds")
    return f"{clips}, {seeds}"


def points(figures: dict[str, Any]) -> str:
    """Return a difference in points of WER, with its interval over clips and the corrected p."""
    value, low, high = (100 * figures[f"difference{end}"] for end in ("", "_low", "_high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}], p = {figures['p']:.3f}"


def about_intervals(figures: Mapping[str, Any], rows: int) -> str:
    """Return in words what decides a difference of a table with `rows` rows."""
    few = figures.get("difference_by_signer_reason")
    signers = f"{few[0].upper()}{few[1:]}." if few else "The interval over signers leaves out 0 too."
    return (
        "Intervals are 95 % paired bootstraps over clips, with errors averaged over seeds. A difference is "
        f"called one if p, corrected by Holm for {rows} on a data set, is below 0.05. {signers}"
    )
