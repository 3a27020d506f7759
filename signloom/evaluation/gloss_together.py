"""All seeds of a gloss network as one: a beam search that averages their scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from signloom.decoding.joint import Reader, joint_beam
from signloom.evaluation.gloss import random_weights
from signloom.evaluation.gloss_model import (
    JOINT_BEAM,
    Decoded,
    Encoded,
    check_lines,
    clip_batches,
    language_model,
    score_decoded,
)
from signloom.features.gloss_rows import GlossRows
from signloom.models.gloss import Hybrid
from signloom.models.trained_gloss import TrainedGloss
from signloom.params.evaluation import EvaluationParams
from signloom.params.gloss import DecodeGlossParams
from signloom.params.variants import VARIANTS


def evaluate_together(
    trained: Sequence[TrainedGloss],
    rows: GlossRows,
    splits: pd.DataFrame,
    lines: Mapping[str, str],
    p: DecodeGlossParams,
    params: EvaluationParams,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the answers of all of `trained` together, and the metric entries of each data set.

    `trained` are the seeds of one variant, which is decoded as the ablation scores it: a hybrid jointly, and
    `tcn_ctc` by CTC prefixes. A frame counts as blank in the share of the networks that say so. See
    `gloss_model.score_decoded`.
    """
    check_lines(splits, lines)
    first = trained[0]
    decoder = VARIANTS[first.run["variant"]].headline
    alone = not isinstance(first.model, Hybrid)
    lm = None if alone else language_model(first, splits, lines, p)

    def decode(clip_ids: list[str], data: str) -> Decoded:
        found, blanks = [""] * len(clip_ids), np.zeros((len(clip_ids), 2))
        for places, features, lengths in clip_batches(rows, clip_ids, p.batch_size, f"decode {data}"):
            encoded = [Encoded.by(one, features, lengths) for one in trained]
            blanks[places] = np.sum([each.blanks() for each in encoded], axis=0)
            readers = [
                Reader(one.model if isinstance(one.model, Hybrid) else None, *each)
                for one, each in zip(trained, encoded, strict=True)
            ]
            hypotheses = joint_beam(
                readers,
                beam=JOINT_BEAM,
                ctc_weight=1.0 if alone else p.joint_ctc_weight,
                # a line has no more glosses than frames
                max_tokens=features.shape[1] + 2 if alone else first.model.config.max_tokens,
                lm=lm,
                lm_weight=p.lm_weight,
                length_bonus=0.0 if alone else p.length_bonus,
            )
            for place, hypothesis in zip(places, hypotheses, strict=True):
                found[place] = first.glosses(hypothesis.tokens)
        return Decoded({decoder: found}, blanks)

    answers, metrics = score_decoded(decode, splits, lines, p.normalisation, params)
    of_all = {"seeds": len(trained), **random_weights(first.backbone)}
    return answers, {name: part | of_all for name, part in metrics.items()}
