"""Choose thresholds for another camera from a bundle's answers, in the same way as stage calibrate."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.acceptance import acceptance_figures
from signloom.evaluation.calibration import calibrate, thresholds_entries
from signloom.evaluation.inference import gate_inputs_of
from signloom.evaluation.outofset import IN_SET
from signloom.inference.answer import Answer
from signloom.inference.engine import SignEngine
from signloom.inference.gates import OK, judge
from signloom.params.evaluation import EvaluationParams

_INTERVALS = EvaluationParams(bootstrap=2000, seed=42)  # a bundle's user has no params.yaml


class AskedClip(NamedTuple):
    """A clip and a bundle's answer to it by cosine."""

    kind: str  # in_set, or one of the kinds that should be refused
    sentence_id: int  # of the clip, -1 if it has none
    answer: Answer


class Recalibrated(NamedTuple):
    """thresholds.json, and the acceptance figures of the clips with the old and the new thresholds."""

    thresholds: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]


def kind_of(engine: SignEngine, sentence_id: int) -> str:
    """Return the kind of a clip with sentence `sentence_id`, which is -1 if it has none."""
    if sentence_id in engine.gallery.sentences:
        return IN_SET
    return "unsigned" if sentence_id == -1 else "unseen_sentence"


def recalibrate(engine: SignEngine, asked: Sequence[AskedClip], max_false_accept_rate: float) -> Recalibrated:
    """Choose new thresholds for `engine` from the clips `asked`, and keep its motion floor.

    Clips that training would have rejected count as refused. Raises SignloomError unless the others include
    both clips to answer and clips to refuse.
    """
    seen = {one.kind for one in asked if one.answer.matches}
    if IN_SET not in seen:
        raise SignloomError(_lacking("of a sentence of the gallery"))
    if seen == {IN_SET}:
        raise SignloomError(_lacking("that ought to be refused"))
    gate_inputs = gate_inputs_of(engine, [one.answer for one in asked])
    kinds = np.array([one.kind for one in asked])
    out = kinds != IN_SET
    found = engine.gallery.sentences[gate_inputs.place]
    right = ~out & (found == [one.sentence_id for one in asked])
    old = engine.thresholds
    calibrated = calibrate(gate_inputs, right, out, old.motion_floor, max_false_accept_rate)
    before, after = (
        acceptance_figures(
            pd.DataFrame(
                {"kind": kinds, "accepted": np.array(judge(gate_inputs, thresholds)) == OK, "right": right}
            ),
            _INTERVALS,
        )
        for thresholds in (old, calibrated.thresholds)
    )
    return Recalibrated(thresholds_entries(calibrated, max_false_accept_rate, after), before, after)


def _lacking(what: str) -> str:
    return (
        f"no clip {what} shows anybody: thresholds need clips to answer and clips to refuse; "
        "add some, see calibrate --help"
    )
