"""Describe an ablation in words that are generated from its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from signloom.evaluation.ablation import DECODERS, Runs, headline, tested
from signloom.evaluation.gloss import WEIGHTS
from signloom.params.gloss import Hypothesis
from signloom.params.variants import BASELINE

COLLAPSED = 0.95  # blank ratio above which a network emits almost no gloss
_SHOWN = ("test", "test_unseen_sentences", "test_all_sentences")


def describe(compared: dict[str, Any], runs: Runs, hypotheses: Sequence[Hypothesis]) -> str:
    """Return one paragraph: what helps, what does not, and which expectations were wrong.

    A difference is called undecided if its 95 % interval includes 0.
    """
    shown = shown_data(compared)
    if not shown:
        return "No data set has a reference gloss, so nothing can be said."
    seeds = len(next(iter(runs.values())))
    intervals = "Intervals are 95 % paired bootstraps over clips, with errors averaged over seeds"
    notes = [
        "A hybrid is read by its joint decoder and tcn_ctc by its prefix beam, both chosen beforehand.",
        f"{intervals}; differences are in points of WER, below 0 where the first makes fewer errors.",
        "There is one seed, so how far another would differ is not known."
        if seeds == 1
        else "± is the sample deviation over seeds.",
        random_weights(compared[shown[0]]),
    ]
    parts = [_of_data(compared, runs, hypotheses, data) for data in shown] + [
        _collapse(compared, shown[0]),
        *notes,
    ]
    return " ".join(part for part in parts if part)


def random_weights(entries: dict[str, Any]) -> str:
    """Return a warning that names the `entries` with clip features from random weights, or ""."""
    names = [name for name, entry in entries.items() if WEIGHTS in entry]
    return f"The clip features of {', '.join(names)} come of random weights: a trial." if names else ""


def shown_data(compared: dict[str, Any]) -> list[str]:
    """Return the data sets to describe: those of test that have references, else those of val."""
    shown = [data for data in _SHOWN if _scored(compared, data)]
    return shown or [data for data in ("val", "val_unseen_sentences") if _scored(compared, data)]


def _scored(compared: dict[str, Any], data: str) -> bool:
    entries = [entry for name, entry in compared[data].items() if name != "comparisons"]
    return any(
        entry[decoder]["wer"] is not None for entry in entries for decoder in DECODERS if decoder in entry
    )


def _of_data(compared: dict[str, Any], runs: Runs, hypotheses: Sequence[Hypothesis], data: str) -> str:
    """Return the WER of every variant and the verdict on every hypothesis."""
    scores = ", ".join(_wer(variant, compared[data][variant]) for variant in runs)
    first = next(iter(runs))
    seeds = len(runs[first])
    clips = f"{compared[data][first]['n']} clips, {seeds} seed{'s' if seeds > 1 else ''}"
    verdicts = [
        _verdict(compared[data]["comparisons"][f"{it.better} - {it.worse}"], it)
        for it in tested(hypotheses, runs)
    ]
    return f"On {data} ({clips}) WER is {scores}. {' '.join(verdicts)}".strip()


def _wer(variant: str, entry: dict[str, Any]) -> str:
    figures = entry[headline(variant)]
    spread = f" ± {100 * figures['wer_std']:.1f}" if figures["wer_std"] is not None else ""
    return f"{100 * figures['wer']:.1f}{spread} % for {variant}"


def _verdict(found: dict[str, Any], hypothesis: Hypothesis) -> str:
    low, high = found["difference_low"], found["difference_high"]
    versus = f"{hypothesis.better} - {hypothesis.worse}"
    numbers = f"{versus} = {100 * found['difference']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    if low <= 0 <= high:
        return f"{numbers}: that {hypothesis.claim} is undecided, the interval includes 0."
    if high < 0:
        return f"{numbers}: {hypothesis.claim}, as expected."
    return f"{numbers}: against the expectation that {hypothesis.claim}, it makes more errors."


def _collapse(compared: dict[str, Any], data: str) -> str:
    """Return a sentence on whether the baseline collapsed to blanks, as expected of CTC without a decoder."""
    if BASELINE not in compared[data]:
        return "tcn_ctc is not among the variants, so what attention beside CTC brings is not measured."
    share = compared[data][BASELINE]["blank_ratio"]
    if share > COLLAPSED:
        return f"tcn_ctc has collapsed, as expected: {100 * share:.1f} % of the frames of {data} are blank."
    return (
        f"Against the expectation tcn_ctc has not collapsed: {100 * share:.1f} % of the frames of {data} "
        "are blank."
    )
