"""Compare one gloss variant under several settings: scores, and paired differences to the first setting."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation import gloss_runs
from signloom.metrics.bootstrap import figure, ratio
from signloom.metrics.paired import decided, signer_bounds
from signloom.params.evaluation import EvaluationParams
from signloom.params.side_by_side import SideBySideParams
from signloom.run_names import folder_after, run_name

DECODERS = ("joint", "ctc_beam")


def read_settings(
    params: SideBySideParams, metrics: Sequence[Path], predictions: Sequence[Path]
) -> gloss_runs.Runs:
    """Return the runs of every setting, one per seed.

    Files are found as `<table>/<setting>/<variant>/<file>`, with `seeds/<seed>/` before the variant for other
    seeds than the first. Raises SignloomError if a file is missing.
    """
    scores, answers = (
        {(folder_after(path, params.table), run_name(path, path.parent.name)): path for path in paths}
        for paths in (metrics, predictions)
    )
    runs: gloss_runs.Runs = {setting: [] for setting in params.settings}
    for setting in params.settings:
        for seed in params.seeds:
            name = params.variant if seed == params.seeds[0] else f"{params.variant}-{seed}"
            key = (setting, name)
            if key not in scores or key not in answers:
                raise SignloomError(
                    f"{params.table}: {setting} lacks scores or predictions of {name}; build them first"
                )
            runs[setting].append(gloss_runs.Run.read(scores[key], answers[key]))
    return runs


def compare(runs: gloss_runs.Runs, params: EvaluationParams) -> dict[str, Any]:
    """Return figures by data set, setting and decoder.

    `wer` is the mean over seeds, and `difference` is the WER of the setting minus that of the first setting.
    Both have percentile intervals over clips. Errors are averaged over seeds for each clip, and clips are
    drawn in pairs. Each `p` is corrected for the settings.
    """
    first = next(iter(runs))
    result: dict[str, Any] = {data: {} for data in gloss_runs.SETS}
    for data in gloss_runs.SETS:
        for setting, found in runs.items():
            entry = gloss_runs.entry_of(found, data)
            for decoder in DECODERS:
                mine = gloss_runs.count_errors(setting, found, data, decoder)
                rows = np.stack([mine.errors, mine.words * mine.seeds], 1)
                entry[decoder] = {"n": len(rows)} | figure(
                    "wer", rows, ratio, params.bootstrap, params.seed, gloss_runs.NO_GLOSS
                )
                if setting != first:
                    other = gloss_runs.count_errors(first, runs[first], data, decoder)
                    entry[decoder] |= gloss_runs.paired_difference(mine, other, params)
            result[data][setting] = entry
        for decoder in DECODERS:
            gloss_runs.correct(entry[decoder] for entry in result[data].values())
    return result


def table(compared: dict[str, Any]) -> pd.DataFrame:
    """Return one row per data set, setting and decoder from the result of `compare`."""
    columns = [f"{name}{ending}" for name in ("wer", "difference") for ending in ("", "_low", "_high")]
    return pd.DataFrame(
        {"data": data, "setting": setting, "decoder": decoder}
        | {key: entry[key] for key in ("seeds", "n", "blank_ratio")}
        | {column: entry[decoder].get(column) for column in [*columns, "p"]}
        for data, settings in compared.items()
        for setting, entry in settings.items()
        for decoder in DECODERS
    )


def describe(compared: dict[str, Any], params: SideBySideParams) -> str:
    """Return one paragraph generated from the numbers of the joint decoder."""
    shown = gloss_runs.shown_data(compared, "joint")
    if not shown:
        return gloss_runs.NOTHING
    first, *others = params.settings
    parts = [
        *(f"{params.table} on {data} {_of_data(compared[data])}" for data in shown),
        f"All are {params.variant}, read by its joint decoder, chosen beforehand; differences to {first} "
        "are in points of WER, below 0 where fewer errors are made than with it.",
        gloss_runs.about_intervals(compared[shown[0]][others[0]]["joint"], len(others)),
        gloss_runs.ONE_SEED
        if len(params.seeds) == 1
        else "The intervals do not hold what other seeds would change.",
        gloss_runs.random_weights(compared[shown[0]]),
    ]
    return " ".join(part for part in parts if part)


def _of_data(entries: dict[str, Any]) -> str:
    first, *others = entries
    scores = ", ".join(_wer(setting, entry["joint"]) for setting, entry in entries.items())
    verdicts = " ".join(_verdict(f"{other} - {first}", entries[other]["joint"]) for other in others)
    return f"({gloss_runs.clips_and_seeds(entries[first], 'joint')}): WER is {scores}. {verdicts}"


def _wer(setting: str, figures: dict[str, Any]) -> str:
    value, low, high = (100 * figures[f"wer{ending}"] for ending in ("", "_low", "_high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}] % for {setting}"


def _verdict(pair: str, figures: dict[str, Any]) -> str:
    numbers = f"{pair} = {gloss_runs.points(figures)}"
    if not decided(figures["p"], signer_bounds(figures)):
        return f"{numbers}: undecided."
    return f"{numbers}: {'fewer' if figures['difference'] < 0 else 'more'} errors."
