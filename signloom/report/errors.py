"""Compare reference texts with decoded texts: alignments, confusions, examples, errors by group."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import numpy as np
import pandas as pd

from signloom.metrics.bootstrap import ratio
from signloom.metrics.wer import edit_stats, words_of
from signloom.report import plots
from signloom.report.labels import DATA, LABELS
from signloom.report.tables import DASH, Table, WordsOf, group_table, reference_lengths, wer_by

_EXAMPLES = 6
_MOST_CONFUSED = 20


@dataclass(frozen=True)
class Step:
    """One column of an alignment: `equal`, `substitute`, `delete` or `insert`."""

    kind: str
    reference: str
    hypothesis: str


def align(reference: str, hypothesis: str, words: WordsOf = words_of) -> list[Step]:
    """Return jiwer's alignment of the scored words of both texts."""
    out = jiwer.process_words(" ".join(words(reference)), " ".join(words(hypothesis)))
    left, right = out.references[0], out.hypotheses[0]
    steps = []
    for chunk in out.alignments[0]:
        ours = left[chunk.ref_start_idx : chunk.ref_end_idx]
        theirs = right[chunk.hyp_start_idx : chunk.hyp_end_idx]
        width = max(len(ours), len(theirs))
        pairs = zip(ours + [""] * (width - len(ours)), theirs + [""] * (width - len(theirs)), strict=True)
        steps += [Step(chunk.type, a, b) for a, b in pairs]
    return steps


def spoken_edits(steps: Sequence[Step]) -> str:
    """Return the edits of an alignment in words, for screen readers."""
    edits = [LABELS["edits"][step.kind].format(step) for step in steps if step.kind != "equal"]
    return "; ".join(edits) if edits else "no difference"


def choose_examples(answers: pd.DataFrame, words: WordsOf = words_of) -> list[dict[str, Any]]:
    """Return up to six clips of one data set, evenly spaced from the highest to the lowest error rate."""
    counts = edit_stats(*(list(map(words, answers[column])) for column in ("reference", "hypothesis")))
    rate = ratio(counts)
    ranked = answers.assign(rate=rate).sort_values(["rate", "clip_id"], ascending=[False, True])
    places = np.linspace(0, len(ranked) - 1, min(_EXAMPLES, len(ranked))).round().astype(int)
    return [_example(row, words) for row in ranked.iloc[places].to_dict("records")]


def _example(row: Mapping[Any, Any], words: WordsOf) -> dict[str, Any]:
    """Return a decoded clip for the template; `spoken` describes the edits in words."""
    steps = align(row["reference"], row["hypothesis"], words)
    return {
        "clip": row["clip_id"],
        "signer": row.get("signer_id", ""),
        "wer": DASH if np.isnan(row["rate"]) else f"{row['rate']:.2f}",
        "reference": row["reference"],
        "hypothesis": row["hypothesis"],
        "nearest": row.get("nearest", ""),
        "steps": steps,
        "spoken": spoken_edits(steps),
    }


def confusion_table(answers: pd.DataFrame, name: str, unit: str, words: WordsOf = words_of) -> Table:
    """Return the most frequent word confusions; `answers` has `reference, hypothesis`.

    `unit` names the scored words, such as "word" or "gloss".
    """
    said: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for reference, hypothesis in zip(answers["reference"], answers["hypothesis"], strict=True):
        said.update(words(reference))
        steps = align(reference, hypothesis, words)
        pairs.update((step.reference, step.hypothesis) for step in steps if step.kind == "substitute")
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    rows = [(ours, theirs, times, said[ours]) for (ours, theirs), times in ranked[:_MOST_CONFUSED]]
    more = f", the first {len(rows)} of {len(ranked)} pairs" if len(ranked) > len(rows) else ""
    columns = [unit.capitalize(), "Read as", "Times", "Signed in all"]
    plural = "Glosses" if unit == "gloss" else f"{unit.capitalize()}s"
    return Table(name, f"{plural} most often read as another{more}", columns, rows, numeric=2)


def describe_errors(
    answers: pd.DataFrame, named: pd.DataFrame, labels: Mapping[str, str], words: WordsOf = words_of
) -> dict[str, Any]:
    """Return the template's values for the errors in `answers`: by length, by signer, confusions, examples.

    `named` are the answers that are told apart by signer; `labels` are those of a family in labels.yaml.
    """
    answers = answers.assign(length=reference_lengths(answers["reference"].tolist(), words).to_numpy())
    by_length, by_signer = wer_by(answers, "length", words), wer_by(named, "signer_id", words)
    units = labels["units"]
    held_out = answers[answers["data"].str.startswith("test")]
    shown = [data for data in DATA if data != "val_unseen_sentences"]
    examples = {data: choose_examples(answers[answers["data"] == data], words) for data in shown}
    caption, heading = "Word error rate by length of the reference", f"{units.capitalize()} (from)"
    length_table = group_table(labels["length_table"], caption, heading, by_length)
    signer_table = group_table(labels["signer_table"], "Word error rate by signer", "Signer", by_signer)
    confused = held_out if len(held_out) else answers
    return {
        "confusions": confusion_table(confused, labels["confusions"], labels["unit"], words),
        "confused_of": "test" if len(held_out) else "validation",
        "by_length": plots.wer_by_length(by_length, labels["by_length"], units) if len(by_length) else None,
        "length_table": length_table,
        "by_signer": plots.wer_by_signer(by_signer, labels["by_signer"]) if len(by_signer) else None,
        "signer_table": signer_table if len(named) else None,
        "examples": {data: found for data, found in examples.items() if found},
    }
