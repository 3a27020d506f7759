"""The gloss section of the page: ablation, blank ratios, decoders, confusions, examples."""

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from signloom.params.variants import VARIANTS
from signloom.report import tables
from signloom.report.drawing import Picture
from signloom.report.errors import describe_errors
from signloom.report.glosses import alignment, spotting
from signloom.report.glosses import plots as gloss_plots
from signloom.report.glosses import tables as gloss_tables
from signloom.report.glosses.tables import GLOSSES
from signloom.report.labels import DATA, DECODERS, LABELS
from signloom.report.sources import GlossSources, variant_of
from signloom.report.tables import Cell, Metric
from signloom.training.glosses.history import COLLAPSE_RATIO

_WER = Metric("wer", "Word error rate", "lower")


@dataclass(frozen=True)
class Choice:
    """The run and the decoder whose answers are shown, and the reason for the choice."""

    run: str
    decoder: str
    reason: str


def describe(sources: GlossSources) -> dict[str, Any]:
    """Return the template's values for glosses."""
    rates = gloss_tables.rates(sources.metrics)
    choice = choose(sources, rates)
    known, compared = set(sources.epochs["variant"]), sources.ablation
    signatures = {scores["wer_signature"] for sets in sources.metrics.values() for scores in sets.values()}
    scored = [data for data in gloss_tables.scored(compared) if data != "val_unseen_sentences"]
    return {
        "variants": [(name, row.label) for name, row in VARIANTS.items() if name in known],
        "runs": len(sources.metrics),
        "collapse": COLLAPSE_RATIO,
        "networks": networks(sources.backbones),
        "untrained": bool((sources.backbones["weights_sha256"] == "").any()),
        "curves": _curves(sources.epochs),
        "decoders": [gloss_plots.decoders(data, rates[rates["data"] == data]) for data in scored],
        "says": _sentences(sources.says),
        "ablation": [gloss_tables.ablation_table(data, compared, rates, False) for data in scored],
        "every_decoder": [gloss_tables.ablation_table(data, compared, rates, True) for data in scored],
        "comparisons": gloss_tables.comparison_table(compared, scored),
        "choice": choice,
        "decoder": DECODERS[choice.decoder],
        "tiles": _tiles(sources, choice),
        "alignment": alignment.describe(sources.alignment) if sources.alignment else None,
        "spotting": spotting.describe(sources.spotting) if sources.spotting else None,
        "signatures": sorted(f"gloss wer: {signature}" for signature in signatures),
        **_answers(sources.predictions[choice.run], choice),
    }


def choose(sources: GlossSources, rates: pd.DataFrame) -> Choice:
    """Return the run and the decoder with the lowest validation error rate.

    Variants are compared by the mean over their seeds, and the first run of the best one is returned; ties go
    to the decoder that the ablation compares a variant by, and then to the last variant. Without validation
    clips it is the last run and its last decoder, because test clips must not choose.
    """
    dev = rates[rates["data"] == "val"]
    if dev.empty:
        run = variant_of(list(sources.metrics)[-1])
        known = [name for name in DECODERS if name in sources.predictions[run]]
        return Choice(run, known[-1], "there is no validation clip to choose by, so these are the last")
    equal = dev[dev["wer"] == dev["wer"].min()]
    compared = equal["decoder"] == equal["variant"].map(
        {name: row.headline for name, row in VARIANTS.items()}
    )
    best = (equal[compared] if compared.any() else equal).iloc[-1]
    reason = f"lowest word error rate in validation ({best['wer']:.3f})"
    reason += f", which {len(equal) - 1} more have" if len(equal) > 1 else ""
    return Choice(str(best["variant"]), str(best["decoder"]), reason)


def networks(backbones: pd.DataFrame) -> list[str]:
    """Describe each video network in words: its name, its mode, its weights and their digest."""
    return [
        f"{row['backbone']} ({row['mode']}), "
        + (
            f"weights {row['weights']}, whose SHA-256 begins with {row['weights_sha256'][:12]}"
            if row["weights_sha256"]
            else "random weights: for tests only, scores mean nothing"
        )
        for row in backbones.to_dict("records")
    ]


def _sentences(text: str) -> list[str]:
    """Split a text into sentences; a decimal point is not followed by a space."""
    return re.split(r"(?<=\.) ", text)


def _curves(epochs: pd.DataFrame) -> list[Picture]:
    kept = best_epochs(epochs)
    return [
        gloss_plots.curves(
            f"gloss-{column.replace('_', '-')}",
            caption,
            epochs,
            column,
            limit=COLLAPSE_RATIO if column.endswith("blank_ratio") else None,
            marked=kept if column == "val_wer" else None,
            smoothed=smoothed,
        )
        for column, caption, smoothed in LABELS["gloss_curves"]
        if epochs[column].notna().any()
    ]


def best_epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return `run, variant, epoch, value`: the epoch of each best.pth and its validation error rate.

    The best epoch has the lowest error rate; ties go to the lower loss, then to the earlier epoch.
    """
    order = epochs.sort_values(["val_wer", "val_loss", "epoch"], kind="stable")
    first = order.dropna(subset=["val_wer"]).groupby("run", sort=False).head(1)
    return first[["run", "variant", "epoch", "val_wer"]].rename(columns={"val_wer": "value"})


def _tiles(sources: GlossSources, choice: Choice) -> list[tuple[str, str, int, Cell]]:
    """Return label, data set, number of clips and score of the chosen run on the test clips."""
    scores = {
        data: sources.metrics[choice.run].get(data, {}).get(choice.decoder, {})
        for data in ("test", "test_unseen_sentences")
    }
    label = f"Gloss error rate, {choice.run}, {DECODERS[choice.decoder]}"
    return [
        (label, DATA[data], figures.get("n", 0), tables.score_cell(figures, _WER))
        for data, figures in scores.items()
    ]


def _answers(predictions: pd.DataFrame, choice: Choice) -> dict[str, Any]:
    """Return the errors of the chosen run: by length and by signer, confusions, examples."""
    answers = predictions.assign(hypothesis=predictions[choice.decoder])
    scored = answers[answers["reference"] != ""]
    named = scored[scored["signer_id"] != ""]
    errors = describe_errors(scored, named, LABELS["errors"]["glosses"], GLOSSES)
    return {"empty": len(answers) - len(scored), **errors}
