"""Scores of stage evaluate_gloss: errors of each decoder by kind, sentence accuracy and blank frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from signloom.metrics.bootstrap import NO_CLIP, Floats, figure, mean_figure, ratio
from signloom.metrics.wer import error_stats
from signloom.params.evaluation import EvaluationParams

ERRORS = ("sub", "del", "ins")
SIGNATURE = "glosses|case:kept|normalisation:{}|lib:jiwer"
# marks the scores of a network whose clip features come from random weights
WEIGHTS = "clip_weights"


class Answers(NamedTuple):
    """Gloss lines of references and of each decoder; `blanks` (clips, 2) counts blank and all frames."""

    references: list[list[str]]
    found: dict[str, list[list[str]]]
    blanks: Floats

    @classmethod
    def of(cls, parts: Sequence[Answers]) -> Answers:
        """Join the answers of several data sets."""
        return cls(
            [line for part in parts for line in part.references],
            {name: [line for part in parts for line in part.found[name]] for name in parts[0].found},
            np.concatenate([part.blanks for part in parts]),
        )


def random_weights(backbone: Mapping[str, str]) -> dict[str, str]:
    """Return an entry that marks clip features of `backbone` from random weights, or {}."""
    return {WEIGHTS: "random"} if backbone.get("weights") == "random" else {}


def score_glosses(answers: Answers, normalisation: str, params: EvaluationParams) -> dict[str, Any]:
    """Return the metric entries of one data set.

    A frame is blank if blank is its likeliest CTC label. Clips without a gloss in the reference are counted
    in `n_empty_references` and enter no rate except the blank ratio.
    """
    references, hypotheses, blanks = answers
    draw = (params.bootstrap, params.seed)
    scored = [row for row, line in enumerate(references) if line]
    no_gloss = "no reference gloss in this data set" if len(references) else NO_CLIP
    entries: dict[str, Any] = {
        "n": len(references),
        "n_empty_references": len(references) - len(scored),
        **figure("blank_ratio", blanks, ratio, *draw, NO_CLIP),
        "wer_signature": SIGNATURE.format(normalisation),
    }
    kept = [list(references[row]) for row in scored]
    for decoder, lines in hypotheses.items():
        said = [list(lines[row]) for row in scored]
        stats = error_stats(kept, said)
        errors = {"wer": stats[:, :3].sum(1)} | {name: stats[:, i] for i, name in enumerate(ERRORS)}
        right = np.array([a == b for a, b in zip(kept, said, strict=True)], np.float64)
        entries[decoder] = {"n": len(scored)}
        for name, count in errors.items():
            entries[decoder] |= figure(name, np.stack([count, stats[:, 3]], 1), ratio, *draw, no_gloss)
        entries[decoder] |= mean_figure("sentence_acc", right, *draw, no_gloss)
    return entries
