"""Scores of stage evaluate_sign2text: translation, clip-sentence alignment, and a retrieval baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.metrics import translation
from signloom.metrics.bootstrap import NO_CLIP, Floats, figure, mean_figure, ratio
from signloom.params.evaluation import EvaluationParams

Unit = npt.NDArray[np.float32]

_CHUNK = 1024  # clips compared with the gallery at a time


def nearest(queries: Unit, gallery: Unit) -> npt.NDArray[np.intp]:
    """Return the row (Q,) of `gallery` (G, E) most similar to each of `queries` (Q, E); ties: the first."""
    wide = gallery.astype(np.float64).T
    parts = [
        (queries[start : start + _CHUNK].astype(np.float64) @ wide).argmax(1)
        for start in range(0, len(queries), _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.intp)


def alignment(clips: Unit, sentences: Sequence[str], embeddings: Unit) -> dict[str, Floats]:
    """Return `inst_top1`, `pos_sim`, `neg_sim` (N,) of each clip against all distinct sentences.

    `clips` (N, E) and `embeddings` (N, E), those of `sentences`, are unit rows. A clip is right if its own
    sentence is more similar to it than every other one. `neg_sim` is the mean over the other sentences, NaN
    if there are none.
    """
    _, first, own = np.unique(
        np.array(sentences, dtype=object).astype(str), return_index=True, return_inverse=True
    )
    candidates = embeddings[first].astype(np.float64).T
    top, mine, negative = np.full((3, len(clips)), np.nan)
    for start in range(0, len(clips), _CHUNK):
        part = slice(start, start + _CHUNK)
        similarity = clips[part].astype(np.float64) @ candidates
        rows = np.arange(len(similarity))
        mine[part] = similarity[rows, own[part]]
        if len(first) > 1:
            negative[part] = (similarity.sum(1) - mine[part]) / (len(first) - 1)
        similarity[rows, own[part]] = -np.inf
        top[part] = mine[part] > similarity.max(1)
    return {"inst_top1": top, "pos_sim": mine, "neg_sim": negative}


def score_translations(
    answers: pd.DataFrame, texts: dict[int, list[str]], aligned: dict[str, Floats], params: EvaluationParams
) -> dict[str, Any]:
    """Return the metric entries of one data set.

    `answers` has `sentence_id, reference, hypothesis, nearest`, one row per clip. `texts` gives a sentence
    and its variations; `aligned` is the result of `alignment`. `nearest_*` score the sentence of the nearest
    training clip instead of the hypothesis. `wer_gain` is nearest_wer - wer on the same resamples.
    """
    draw = (params.bootstrap, params.seed)
    reference, hypothesis = answers["reference"].tolist(), answers["hypothesis"].tolist()
    rival = answers["nearest"].tolist()
    why = "no reference word in this data set" if len(answers) else NO_CLIP
    one = "only one distinct sentence in this data set" if len(answers) else NO_CLIP
    words = translation.wer_stats(reference, hypothesis)
    rival_words = translation.wer_stats(reference, rival)
    references = [texts[sentence_id] for sentence_id in answers["sentence_id"]]
    multi = translation.wer_multi_stats(references, hypothesis)
    gain = np.stack([rival_words[:, 0] - words[:, 0], words[:, 1]], 1)
    exact = [
        translation.normalise(r) == translation.normalise(h)
        for r, h in zip(reference, hypothesis, strict=True)
    ]
    return {
        "n": len(answers),
        **figure("wer", words, ratio, *draw, why),
        **figure("wer_multi", multi, ratio, *draw, why),
        **figure("bleu4", translation.bleu_stats(reference, hypothesis), translation.bleu_score, *draw, why),
        **figure("chrf", translation.chrf_stats(reference, hypothesis), translation.chrf_score, *draw, why),
        **mean_figure("exact", np.array(exact, np.float64), *draw, NO_CLIP),
        **mean_figure("inst_top1", aligned["inst_top1"], *draw, NO_CLIP),
        **mean_figure("pos_sim", aligned["pos_sim"], *draw, NO_CLIP),
        **mean_figure("neg_sim", aligned["neg_sim"], *draw, one),
        **figure("nearest_wer", rival_words, ratio, *draw, why),
        **figure(
            "nearest_bleu4", translation.bleu_stats(reference, rival), translation.bleu_score, *draw, why
        ),
        **figure("wer_gain", gain, ratio, *draw, why),
        **translation.signatures(),
    }
