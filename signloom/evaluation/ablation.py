"""Compare the gloss variants: means and spreads over seeds, and paired differences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.datasets import NAMES, TOGETHER
from signloom.evaluation.gloss import ERRORS, WEIGHTS
from signloom.metrics.bootstrap import NO_CLIP, Floats, figure, ratio
from signloom.metrics.wer import error_stats
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import Hypothesis
from signloom.params.variants import BASELINE, VARIANTS
from signloom.run_names import run_name

DECODERS = ("ctc_greedy", "ctc_beam", "attention", "joint")
RATES = ("wer", *ERRORS, "sentence_acc")
ONE_SEED = "one seed has no spread"
NO_BASELINE = f"{BASELINE} is not among the variants"


@dataclass(frozen=True)
class Run:
    """One training of a variant: its metric file, its predictions and its epochs."""

    seed: int
    metrics: dict[str, Any]
    predictions: pd.DataFrame
    epochs: list[dict[str, Any]]


Runs = dict[str, list[Run]]  # variant: one run per seed


class Counts(NamedTuple):
    """Errors of a variant's decoder on each clip, summed over `seeds`, and the clips' glosses.

    `rates` holds the value of every seed for each of `RATES`. It is empty if no clip has a gloss.
    """

    errors: npt.NDArray[np.float64]
    words: npt.NDArray[np.float64]
    seeds: int
    rates: dict[str, list[float]]


def read_runs(
    variants: Sequence[str],
    seeds: Sequence[int],
    metrics: Sequence[Path],
    predictions: Sequence[Path],
    epochs: Sequence[Path],
) -> Runs:
    """Return the runs of every variant and seed.

    Files are found by name: `<variant>.json`, `<variant>.csv`, `<variant>/metrics.jsonl`, below
    `seeds/<seed>/` for other seeds than the first. Raises SignloomError if a file is missing or empty.
    """
    files = (
        {run_name(path, path.stem): path for path in metrics},
        {run_name(path, path.stem): path for path in predictions},
        {run_name(path, path.parent.name): path for path in epochs},
    )
    runs: Runs = {}
    for variant in variants:
        for seed in seeds:
            name = variant if seed == seeds[0] else f"{variant}-{seed}"
            if not all(name in by_name for by_name in files):
                raise SignloomError(
                    f"run {name} lacks metrics, predictions or epochs; build it, or remove it from "
                    "gloss.variants and runs.more_seeds"
                )
            scores, table, log = (by_name[name] for by_name in files)
            lines = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.strip()]
            if not lines:
                raise SignloomError(f"{log} has no epoch; train the run again")
            said = pd.read_csv(table, dtype=str, keep_default_na=False)
            found = json.loads(scores.read_text("utf-8"))
            runs.setdefault(variant, []).append(Run(seed, found, said, lines))
    return runs


def compare(runs: Runs, hypotheses: Sequence[Hypothesis], params: EvaluationParams) -> dict[str, Any]:
    """Return the content of ablation.json without its text: data set, variant, decoder, figures.

    A decoder's `wer`, `sub`, `del`, `ins` and `sentence_acc` are means over seeds, and `<rate>_std` are their
    sample deviations. `difference` is its WER minus that of `tcn_ctc` with the same decoder, or with
    `ctc_beam` if `tcn_ctc` lacks that decoder; negative is better. Errors are averaged over seeds for each
    clip, and the bootstrap draws clips in pairs.
    """
    result: dict[str, Any] = {}
    for data in (*NAMES, *TOGETHER):
        counts = {
            (variant, decoder): error_counts(variant, found, data, decoder)
            for variant, found in runs.items()
            for decoder in DECODERS
            if decoder in found[0].predictions
        }
        result[data] = {
            variant: _variant(variant, found, data, counts, params) for variant, found in runs.items()
        }
        result[data]["comparisons"] = {
            f"{it.better} - {it.worse}": _compared(counts, it, params) for it in tested(hypotheses, runs)
        }
    result["training"] = {variant: _training(found) for variant, found in runs.items()}
    return result


def tested(hypotheses: Sequence[Hypothesis], runs: Runs) -> list[Hypothesis]:
    """Return the hypotheses whose variants are both among `runs`."""
    return [it for it in hypotheses if it.better in runs and it.worse in runs]


def headline(variant: str) -> str:
    """Return the decoder whose scores represent `variant`."""
    return VARIANTS[variant].headline


def error_counts(variant: str, found: Sequence[Run], data: str, decoder: str) -> Counts:
    """Return the errors of `decoder` on the clips of `data` with glosses, sorted by id.

    Raises SignloomError if the seeds were not scored on the same clips and references.
    """
    parts = TOGETHER.get(data, (data,))
    tables = [
        run.predictions[run.predictions["data"].isin(parts) & (run.predictions["reference"] != "")]
        .sort_values("clip_id")
        .reset_index(drop=True)
        for run in found
    ]
    keys = ["clip_id", "reference"]
    if any(not table[keys].equals(tables[0][keys]) for table in tables):
        raise SignloomError(
            f"{variant}: its seeds were scored on different clips; build the predictions again"
        )
    lines = [
        [[line.split() for line in table[column]] for column in ("reference", decoder)] for table in tables
    ]
    stats = [error_stats(*pair) for pair in lines]
    errors = np.sum([rows[:, :3].sum(1) for rows in stats], axis=0)
    return Counts(errors, stats[0][:, 3], len(found), _rates(lines, stats))


def _rates(lines: Sequence[list[list[list[str]]]], stats: Sequence[Floats]) -> dict[str, list[float]]:
    """Return each seed's `RATES` from its references, its answers and their `error_stats`.

    The rates are computed again because a metric file holds rounded values.
    """
    if not len(stats[0]):
        return {rate: [] for rate in RATES}
    each = [rows[:, :3].sum(0) / rows[:, 3].sum() for rows in stats]
    return {
        "wer": [float(errors.sum()) for errors in each],
        **{name: [float(errors[i]) for errors in each] for i, name in enumerate(ERRORS)},
        "sentence_acc": [sum(map(list.__eq__, *pair)) / len(pair[0]) for pair in lines],
    }


def _compared(
    counts: dict[tuple[str, str], Counts], hypothesis: Hypothesis, params: EvaluationParams
) -> dict[str, Any]:
    """Return the difference that tests a hypothesis, each variant scored by its own headline decoder."""
    better, worse = ((name, headline(name)) for name in (hypothesis.better, hypothesis.worse))
    return {"decoders": [better[1], worse[1]], **paired_difference(counts, better, worse, params)}


def blank_ratios(found: Sequence[Run], data: str) -> list[float]:
    """Return the share of blank frames in `data` for every seed; empty if `data` has no clip."""
    parts = TOGETHER.get(data, (data,))
    tables = [run.predictions[run.predictions["data"].isin(parts)] for run in found]
    sums = [table[["blank_frames", "frames"]].astype("int64").sum() for table in tables]
    return [float(total["blank_frames"] / total["frames"]) for total in sums if total["frames"]]


def _variant(
    variant: str,
    found: Sequence[Run],
    data: str,
    counts: dict[tuple[str, str], Counts],
    params: EvaluationParams,
) -> dict[str, Any]:
    scores = [run.metrics[data] for run in found]
    entry: dict[str, Any] = {
        "n": scores[0]["n"],
        "seeds": len(found),
    }
    entry |= spread("blank_ratio", blank_ratios(found, data), NO_CLIP)
    entry |= weights_of(scores)
    for decoder in DECODERS:
        if (variant, decoder) not in counts:
            continue
        entry[decoder] = {"n": scores[0][decoder]["n"]}
        for rate in RATES:
            reason = scores[0][decoder].get(f"{rate}_reason", "")
            entry[decoder] |= spread(rate, counts[variant, decoder].rates[rate], reason)
        if variant != BASELINE:
            rival = decoder if (BASELINE, decoder) in counts else "ctc_beam"
            entry[decoder] |= paired_difference(counts, (variant, decoder), (BASELINE, rival), params)
    return entry


def weights_of(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the entry about random weights if the runs' metric files have it."""
    return {WEIGHTS: scores[0][WEIGHTS]} if WEIGHTS in scores[0] else {}


def spread(name: str, values: Sequence[float], reason: str) -> dict[str, Any]:
    """Return mean and sample deviation of `values`, one per seed; null with `reason` if there are none."""
    if not values:
        return {name: None, f"{name}_reason": reason, f"{name}_std": None, f"{name}_std_reason": reason}
    mean = {name: float(np.mean(values))}
    if len(values) < 2:
        return mean | {f"{name}_std": None, f"{name}_std_reason": ONE_SEED}
    return mean | {f"{name}_std": float(np.std(values, ddof=1))}


def paired_difference(
    counts: dict[tuple[str, str], Counts],
    one: tuple[str, str],
    other: tuple[str, str],
    params: EvaluationParams,
) -> dict[str, Any]:
    """Return the `difference` of WER, `one` minus `other` (variant and decoder), with a paired interval."""
    if other not in counts:
        return {"difference": None, "difference_reason": NO_BASELINE}
    a, b = counts[one], counts[other]
    if not np.array_equal(a.words, b.words):
        raise SignloomError(
            f"{one[0]} and {other[0]} were scored on different clips; build the predictions again"
        )
    # scale means over seeds to whole numbers, so that their sums are exact
    paired = np.stack([a.errors * b.seeds - b.errors * a.seeds, a.words * a.seeds * b.seeds], 1)
    why = "no reference gloss in this data set"
    return figure("difference", paired, ratio, params.bootstrap, params.seed, why)


def _training(found: Sequence[Run]) -> dict[str, Any]:
    """Return the epochs, and the mean last and the lowest blank ratio in validation, or else in training."""
    part = (
        "val_blank_ratio" if found[0].epochs[-1].get("val_blank_ratio") is not None else "train_blank_ratio"
    )
    ratios = [[epoch[part] for epoch in run.epochs] for run in found]
    return {
        "epochs": max(len(run.epochs) for run in found),
        "blank_ratio_of": part.split("_")[0],
        "blank_ratio_last": float(np.mean([values[-1] for values in ratios])),
        "blank_ratio_lowest": min(map(min, ratios)),
    }


def table(compared: dict[str, Any]) -> pd.DataFrame:
    """Return one row per data set, variant and decoder from the result of `compare`."""
    rows = []
    for data in (*NAMES, *TOGETHER):
        for variant, entry in compared[data].items():
            for decoder in DECODERS:
                if variant == "comparisons" or decoder not in entry:
                    continue
                figures = entry[decoder]
                rows.append(
                    {"data": data, "variant": variant, "decoder": decoder, "seeds": entry["seeds"]}
                    | {"n": figures["n"]}
                    | {key: figures.get(key) for rate in RATES for key in (rate, f"{rate}_std")}
                    | {key: entry[key] for key in ("blank_ratio", "blank_ratio_std")}
                    | {key: figures.get(key) for key in ("difference", "difference_low", "difference_high")}
                )
    return pd.DataFrame(rows)
