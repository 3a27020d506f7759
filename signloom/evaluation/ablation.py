"""Compare the gloss variants: means and spreads over seeds, paired differences, a summary in words."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation import gloss_runs
from signloom.metrics.paired import decided, signer_bounds
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import Expectation
from signloom.params.variants import BASELINE, VARIANTS
from signloom.run_names import run_name

DECODERS = ("ctc_greedy", "ctc_beam", "attention", "joint")
NO_BASELINE = f"{BASELINE} is not among the variants"
COLLAPSED = 0.95  # blank ratio above which a network emits almost no gloss
Epochs = dict[str, list[list[dict[str, Any]]]]  # variant: the epochs of one run per seed


def read_runs(
    variants: Sequence[str],
    seeds: Sequence[int],
    metrics: Sequence[Path],
    predictions: Sequence[Path],
    epochs: Sequence[Path],
) -> tuple[gloss_runs.Runs, Epochs]:
    """Return the runs of every variant and seed, and their epochs.

    Files are found by name: `<variant>.json`, `<variant>.csv`, `<variant>/metrics.jsonl`, below
    `seeds/<seed>/` for other seeds than the first. Raises SignloomError if a file is missing or empty.
    """
    files = (
        {run_name(path, path.stem): path for path in metrics},
        {run_name(path, path.stem): path for path in predictions},
        {run_name(path, path.parent.name): path for path in epochs},
    )
    runs: gloss_runs.Runs = {variant: [] for variant in variants}
    logs: Epochs = {variant: [] for variant in variants}
    for variant in variants:
        for seed in seeds:
            name = variant if seed == seeds[0] else f"{variant}-{seed}"
            if not all(name in by_name for by_name in files):
                raise SignloomError(
                    f"run {name} lacks metrics, predictions or epochs; build it, or remove it from "
                    "gloss.variants and runs.more_seeds"
                )
            scores, answers, log = (by_name[name] for by_name in files)
            lines = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.strip()]
            if not lines:
                raise SignloomError(f"{log} has no epoch; train the run again")
            runs[variant].append(gloss_runs.Run.read(scores, answers))
            logs[variant].append(lines)
    return runs, logs


def compare(
    runs: gloss_runs.Runs, epochs: Epochs, hypotheses: Sequence[Expectation], params: EvaluationParams
) -> dict[str, Any]:
    """Return the content of ablation.json without its text: data set, variant, decoder, figures.

    A decoder's `wer`, `sub`, `del`, `ins` and `sentence_acc` are means over seeds, and `<rate>_std` are their
    sample deviations. `difference` is its WER minus that of `tcn_ctc` with the same decoder, or with
    `ctc_beam` if `tcn_ctc` lacks that decoder; negative is better. Errors are averaged over seeds for each
    clip, and the bootstrap draws clips in pairs. Each `p` is corrected for the variants of one decoder, or
    for the `comparisons`.
    """
    result: dict[str, Any] = {}
    for data in gloss_runs.SETS:
        counts = {
            (variant, decoder): gloss_runs.count_errors(variant, found, data, decoder)
            for variant, found in runs.items()
            for decoder in DECODERS
            if decoder in found[0].predictions
        }
        result[data] = {
            variant: _variant(variant, found, data, counts, params) for variant, found in runs.items()
        }
        result[data]["comparisons"] = {
            f"{it.better} - {it.worse}": _compared(it, counts, params)
            for it in hypotheses
            if it.better in runs and it.worse in runs
        }
        for decoder in DECODERS:
            gloss_runs.correct(entry[decoder] for entry in result[data].values() if decoder in entry)
        gloss_runs.correct(result[data]["comparisons"].values())
    result["training"] = {variant: _training(found) for variant, found in epochs.items()}
    return result


def _compared(
    it: Expectation, counts: dict[tuple[str, str], gloss_runs.Errors], params: EvaluationParams
) -> dict[str, Any]:
    """Return the difference that tests a hypothesis, each variant scored by its own headline decoder."""
    pair = [(name, VARIANTS[name].headline) for name in (it.better, it.worse)]
    better, worse = (counts[one] for one in pair)
    return {
        "decoders": [decoder for _, decoder in pair],
        **gloss_runs.paired_difference(better, worse, params),
    }


def _variant(
    variant: str,
    found: Sequence[gloss_runs.Run],
    data: str,
    counts: dict[tuple[str, str], gloss_runs.Errors],
    params: EvaluationParams,
) -> dict[str, Any]:
    entry = gloss_runs.entry_of(found, data)
    for decoder, scores in found[0].metrics[data].items():
        if (variant, decoder) not in counts:
            continue
        mine = counts[variant, decoder]
        entry[decoder] = {"n": scores["n"]}
        for rate in gloss_runs.RATES:
            entry[decoder] |= gloss_runs.spread(rate, mine.rates[rate], scores.get(f"{rate}_reason", ""))
        if variant == BASELINE:
            continue
        if rival := counts.get((BASELINE, decoder), counts.get((BASELINE, "ctc_beam"))):
            entry[decoder] |= gloss_runs.paired_difference(mine, rival, params)
        else:
            entry[decoder] |= {"difference": None, "difference_reason": NO_BASELINE}
    return entry


def _training(runs: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the epochs, and the mean last and the lowest blank ratio in validation, or else in training."""
    part = "train" if runs[0][-1].get("val_blank_ratio") is None else "val"
    ratios = [[epoch[f"{part}_blank_ratio"] for epoch in epochs] for epochs in runs]
    return {
        "epochs": max(map(len, runs)),
        "blank_ratio_of": part,
        "blank_ratio_last": float(np.mean([values[-1] for values in ratios])),
        "blank_ratio_lowest": min(map(min, ratios)),
    }


def table(compared: dict[str, Any]) -> pd.DataFrame:
    """Return one row per data set, variant and decoder from the result of `compare`."""
    figures = [key for rate in gloss_runs.RATES for key in (rate, f"{rate}_std")]
    difference = ["difference", "difference_low", "difference_high", "p"]
    return pd.DataFrame(
        {"data": data, "variant": variant, "decoder": decoder, "seeds": entry["seeds"]}
        | {key: entry[decoder].get(key) for key in ("n", *figures)}
        | {key: entry[key] for key in ("blank_ratio", "blank_ratio_std")}
        | {key: entry[decoder].get(key) for key in difference}
        for data in gloss_runs.SETS
        for variant, entry in compared[data].items()
        for decoder in DECODERS
        if decoder in entry
    )


def describe(compared: dict[str, Any], hypotheses: Sequence[Expectation]) -> str:
    """Return one paragraph: what helps, what does not, what is undecided, which expectations were wrong."""
    shown = gloss_runs.shown_data(compared, "ctc_beam")
    if not shown:
        return gloss_runs.NOTHING
    entries = compared[shown[0]]
    tested = entries["comparisons"]
    parts = [
        *(_of_data(data, compared[data], hypotheses) for data in shown),
        _collapse(entries, shown[0]),
        "A hybrid is read by its joint decoder and tcn_ctc by its prefix beam, both chosen beforehand.",
        "Differences are in points of WER, below 0 where the first makes fewer errors.",
        *(gloss_runs.about_intervals(row, len(tested)) for row in [*tested.values()][:1]),
        gloss_runs.ONE_SEED
        if next(iter(entries.values()))["seeds"] == 1
        else "± is the sample deviation over seeds.",
        gloss_runs.random_weights(entries),
    ]
    return " ".join(part for part in parts if part)


def _of_data(data: str, compared: dict[str, Any], hypotheses: Sequence[Expectation]) -> str:
    """Return the WER of every variant and the verdict on every hypothesis."""
    entries = {name: entry for name, entry in compared.items() if name != "comparisons"}
    scores = ", ".join(_wer(variant, entry) for variant, entry in entries.items())
    verdicts = [
        _verdict(f"{it.better} - {it.worse}", compared["comparisons"], it.claim)
        for it in hypotheses
        if it.better in entries and it.worse in entries
    ]
    variant, entry = next(iter(entries.items()))
    about = gloss_runs.clips_and_seeds(entry, VARIANTS[variant].headline)
    return f"On {data} ({about}) WER is {scores}. {' '.join(verdicts)}".strip()


def _wer(variant: str, entry: dict[str, Any]) -> str:
    figures = entry[VARIANTS[variant].headline]
    spread = f" ± {100 * figures['wer_std']:.1f}" if figures["wer_std"] is not None else ""
    return f"{100 * figures['wer']:.1f}{spread} % for {variant}"


def _verdict(pair: str, comparisons: dict[str, Any], claim: str) -> str:
    figures = comparisons[pair]
    numbers = f"{pair} = {gloss_runs.points(figures)}"
    if not decided(figures["p"], signer_bounds(figures)):
        return f"{numbers}: that {claim} is undecided."
    if figures["difference"] < 0:
        return f"{numbers}: {claim}, as expected."
    return f"{numbers}: against the expectation that {claim}, it makes more errors."


def _collapse(entries: dict[str, Any], data: str) -> str:
    """Return a sentence on whether the baseline collapsed to blanks, as expected of CTC without a decoder."""
    if BASELINE not in entries:
        return "tcn_ctc is not among the variants, so what attention beside CTC brings is not measured."
    share = entries[BASELINE]["blank_ratio"]
    blank = f"{100 * share:.1f} % of the frames of {data} are blank."
    if share > COLLAPSED:
        return f"tcn_ctc has collapsed, as expected: {blank}"
    return f"Against the expectation tcn_ctc has not collapsed: {blank}"
