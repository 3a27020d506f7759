"""Compare one gloss variant under several settings: scores, and paired differences to the first setting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.ablation import (
    Run,
    Runs,
    blank_ratios,
    error_counts,
    paired_difference,
    spread,
    weights_of,
)
from signloom.evaluation.ablation_text import random_weights, shown_data
from signloom.evaluation.datasets import NAMES, TOGETHER
from signloom.metrics.bootstrap import NO_CLIP, figure, ratio
from signloom.params.evaluation import EvaluationParams
from signloom.params.side_by_side import SideBySideParams
from signloom.run_names import folder_after, run_name

DECODERS = ("joint", "ctc_beam")
NO_GLOSS = "no reference gloss in this data set"


def read_settings(params: SideBySideParams, metrics: Sequence[Path], predictions: Sequence[Path]) -> Runs:
    """Return the runs of every setting, one per seed.

    Files are found as `<table>/<setting>/<variant>/<file>`, with `seeds/<seed>/` before the variant for other
    seeds than the first. Raises SignloomError if a file is missing.
    """
    scores, said = (
        {(folder_after(path, params.table), run_name(path, path.parent.name)): path for path in paths}
        for paths in (metrics, predictions)
    )
    runs: Runs = {}
    for setting in params.settings:
        for seed in params.seeds:
            name = params.variant if seed == params.seeds[0] else f"{params.variant}-{seed}"
            key = (setting, name)
            if key not in scores or key not in said:
                raise SignloomError(
                    f"{params.table}: {setting} lacks scores or predictions of {name}; build them first"
                )
            answers = pd.read_csv(said[key], dtype=str, keep_default_na=False)
            found = json.loads(scores[key].read_text("utf-8"))
            runs.setdefault(setting, []).append(Run(seed, found, answers, []))
    return runs


def compare(runs: Runs, params: EvaluationParams) -> dict[str, Any]:
    """Return figures by data set, setting and decoder.

    `wer` is the mean over seeds, and `difference` is the WER of the setting minus that of the first setting.
    Both have percentile intervals over clips. Errors are averaged over seeds for each clip, and clips are
    drawn in pairs.
    """
    first = next(iter(runs))
    result: dict[str, Any] = {}
    for data in (*NAMES, *TOGETHER):
        counts = {
            (setting, decoder): error_counts(setting, found, data, decoder)
            for setting, found in runs.items()
            for decoder in DECODERS
        }
        result[data] = {}
        for setting, found in runs.items():
            scores = [run.metrics[data] for run in found]
            entry = {"n": scores[0]["n"], "seeds": len(found)}
            entry |= spread("blank_ratio", blank_ratios(found, data), NO_CLIP)
            entry |= weights_of(scores)
            for decoder in DECODERS:
                mine = counts[setting, decoder]
                rows = np.stack([mine.errors, mine.words * mine.seeds], 1)
                entry[decoder] = figure("wer", rows, ratio, params.bootstrap, params.seed, NO_GLOSS)
                if setting != first:
                    pair = (setting, decoder), (first, decoder)
                    entry[decoder] |= paired_difference(counts, *pair, params)
            result[data][setting] = entry
    return result


def table(compared: dict[str, Any]) -> pd.DataFrame:
    """Return one row per data set, setting and decoder from the result of `compare`."""
    columns = [f"{name}{ending}" for name in ("wer", "difference") for ending in ("", "_low", "_high")]
    return pd.DataFrame(
        {"data": data, "setting": setting, "decoder": decoder}
        | {key: entry[key] for key in ("seeds", "n", "blank_ratio")}
        | {column: entry[decoder].get(column) for column in columns}
        for data, settings in compared.items()
        for setting, entry in settings.items()
        for decoder in DECODERS
    )


def describe(compared: dict[str, Any], params: SideBySideParams) -> str:
    """Return one paragraph generated from the numbers of the joint decoder.

    A difference is called undecided if its 95 % interval includes 0.
    """
    shown = shown_data(compared)
    if not shown:
        return "No data set has a reference gloss, so nothing can be said."
    first, *others = params.settings
    notes = [
        f"All are {params.variant}, read by its joint decoder, chosen beforehand; differences to {first} "
        "are in points of WER, below 0 where fewer errors are made than with it.",
        "Intervals are 95 % bootstraps over clips, paired for differences, with errors averaged over seeds.",
        f"None is corrected for there being {len(others)} comparisons on a data set."
        if len(others) > 1
        else "",
        "There is one seed, so how far another would differ is not known."
        if len(params.seeds) == 1
        else "The intervals do not hold what other seeds would change.",
        random_weights(compared[shown[0]]),
    ]
    return " ".join(part for part in [_of_data(compared, params, data) for data in shown] + notes if part)


def _of_data(compared: dict[str, Any], params: SideBySideParams, data: str) -> str:
    first, *others = params.settings
    entries, seeds = compared[data], len(params.seeds)
    scores = ", ".join(
        f"{100 * figures['wer']:.1f} [{100 * figures['wer_low']:.1f}, {100 * figures['wer_high']:.1f}] % "
        f"for {setting}"
        for setting in params.settings
        for figures in [entries[setting]["joint"]]
    )
    verdicts = " ".join(_verdict(entries[setting]["joint"], setting, first) for setting in others)
    clips = f"{entries[first]['n']} clips, {seeds} seed{'s' if seeds > 1 else ''}"
    return f"{params.table} on {data} ({clips}): WER is {scores}. {verdicts}"


def _verdict(figures: dict[str, Any], setting: str, first: str) -> str:
    value, low, high = (100 * figures[f"difference{ending}"] for ending in ("", "_low", "_high"))
    numbers = f"{setting} - {first} = {value:+.1f} [{low:+.1f}, {high:+.1f}]"
    if low <= 0 <= high:
        return f"{numbers}: undecided, the interval includes 0."
    return f"{numbers}: {'fewer' if high < 0 else 'more'} errors."
