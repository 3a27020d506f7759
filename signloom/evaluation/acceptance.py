"""Rates of right and wrong acceptance, in all and for each kind of clip."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.evaluation.outofset import IN_SET, KINDS, Questions
from signloom.inference.gates import OK, GateInputs
from signloom.metrics.bootstrap import mean_figure
from signloom.params.evaluation import EvaluationParams

NO_CLIP = "no clip of a sentence that training saw"
_EVIDENCE = ("similarity", "margin", "proto_similarity", "dtw_score", "motion_mean")


def acceptance_figures(answers: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    """Return the metric entries of `answers` (`kind, accepted, right`, one row per question).

    `false_accept_rate` is the share of out-of-set clips that were accepted, in all and for each kind.
    `accepted_and_right` is the share of in-set clips that were accepted with their own sentence.
    """
    draw = (params.bootstrap, params.seed)
    inside = answers["kind"] == IN_SET
    accepted = answers["accepted"].to_numpy(np.float64)
    right = accepted * answers["right"].to_numpy(np.float64)
    figures: dict[str, Any] = {
        "n_in": int(inside.sum()),
        "n_out": int((~inside).sum()),
        **mean_figure("false_accept_rate", accepted[~inside], *draw, "no clip that ought to be refused"),
        **mean_figure("accepted_and_right", right[inside], *draw, NO_CLIP),
    }
    for kind in KINDS:
        of_kind = accepted[answers["kind"] == kind]
        rate = mean_figure("false_accept_rate", of_kind, *draw, "no clip of this kind")
        figures[kind] = {"n": len(of_kind), **rate}
    return figures


def answer_table(
    questions: Questions, gate_inputs: GateInputs, found: npt.NDArray[np.integer], reasons: list[str]
) -> pd.DataFrame:
    """Return one row per question: the question, the sentence `found` (Q,), the evidence and the verdict.

    `right` says whether the sentence is the clip's own, accepted or not. It is False for every clip that
    should be refused.
    """
    table = pd.DataFrame(
        {
            "kind": questions.kinds,
            "clip_id": [question.clip_id for question in questions.of],
            "other_clip_id": [question.other for question in questions.of],
            "sentence_id": [question.sentence_id for question in questions.of],
            "first_sentence_id": found,
            **{name: np.round(getattr(gate_inputs, name).astype(np.float64), 6) for name in _EVIDENCE},
            "reason": reasons,
        }
    )
    accepted = (table["reason"] == OK).astype(int)
    return table.assign(accepted=accepted, right=questions.right(found).astype(int))
