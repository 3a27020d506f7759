"""Decode held-out clips; score translation and clip-sentence alignment beside a retrieval baseline."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from signloom.decoding.attention import attention_beam
from signloom.errors import SignloomError
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.embed import encode_clips
from signloom.features.shards import FeatureShards
from signloom.metrics.alignment import alignment
from signloom.metrics.bleu_and_chrf import bleu_score, bleu_stats, chrf_score, chrf_stats, signatures
from signloom.metrics.bootstrap import NO_CLIP, NOT_DECODED, Floats, entry, figure, mean_figure, ratio
from signloom.metrics.retrieval import rank_sentences
from signloom.metrics.wer import WER_SIGNATURE, seen, wer_multi_stats, wer_stats, words_of
from signloom.models.trained_sign2text import TrainedEncoder
from signloom.params.evaluation import DecodingParams, EvaluationParams
from signloom.text.tokenizer import TextTokenizer
from signloom.text.vocabulary import Symbols

Unit = npt.NDArray[np.float32]

_DECODED = ("wer", "wer_multi", "bleu4", "chrf", "exact", "nearest_wer", "nearest_bleu4", "wer_gain")
_ALIGNED = ("inst_top1", "pos_sim", "neg_sim")


class References:
    """texts.parquet of stage text, and the embeddings (texts, D) of its rows by the frozen encoder."""

    def __init__(self, texts: Path, embeddings: Path) -> None:
        """Read both; raises SignloomError if their numbers of rows differ."""
        table = pd.read_parquet(texts)
        self._embeddings = np.load(embeddings, allow_pickle=False)
        if len(self._embeddings) != len(table):
            raise SignloomError(
                f"{len(table)} texts but {len(self._embeddings)} text embeddings; run stage text again"
            )
        # of each sentence: itself and its variations
        self.texts: dict[int, list[str]] = {
            int(key): group["text"].tolist() for key, group in table.groupby("sentence_id")
        }
        main = table[table["variation"] == 0]
        self._row = dict(zip(main["sentence_id"], main.index, strict=True))

    def project(self, trained: TrainedEncoder, sentences: Sequence[int]) -> Unit:
        """Return the projected embedding (N, E) of each of `sentences`; rows have unit length."""
        wanted = torch.from_numpy(self._embeddings[[self._row[sentence] for sentence in sentences]])
        with torch.inference_mode():
            projected = trained.model.project_text(wanted.to(trained.device))
        return np.asarray(projected.float().cpu().numpy())


def evaluate(
    trained: TrainedEncoder,
    tokenizer: TextTokenizer,
    shards: FeatureShards,
    clips: EmbeddedClips,
    references: References,
    sets: Mapping[str, list[str]],
    decoding: DecodingParams,
    params: EvaluationParams,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the answers to the clips of all data sets `sets`, one row per clip, and the metric entries.

    `clips` are all embedded clips. The answers are `clip_id, data, sentence_id, reference, hypothesis,
    nearest, wer`, where `nearest` is the sentence of the nearest training clip. Without a decoder, it is the
    hypothesis, too, and figures of texts are null. Then `nearest_id` is its sentence_id, and `wer` is 1 where
    that is another sign: names such as HOUSE-1 and HOUSE-2 have a word in common.
    """
    tables, metrics, decodes = [], {}, trained.model.config.decoder_layers > 0
    for name, clip_ids in sets.items():
        rows = clips.rows(clip_ids)
        answers = clips.table.iloc[rows][["clip_id", "sentence_id"]].reset_index(drop=True)
        answers.insert(1, "data", name)
        spoken = [references.texts[sentence][0] for sentence in answers["sentence_id"]]
        nearest = clips.table.iloc[nearest_rows(clips, rows)]
        found = nearest["sentence"].tolist()
        decoded = decode_clips(trained, tokenizer, shards, clip_ids, decoding, name) if decodes else found
        answers = answers.assign(reference=spoken, hypothesis=decoded, nearest=found)
        projected = references.project(trained, answers["sentence_id"].tolist())
        aligned = alignment(clips.vectors[rows], spoken, projected)
        figures = score_translations(answers, references.texts, aligned, params)
        metrics[name] = figures if decodes else figures_without_decoder(figures)
        answers["wer"] = ratio(wer_stats(spoken, decoded)).round(6)
        if not decodes:
            answers["nearest_id"] = nearest["sentence_id"].to_numpy(np.int64)
            answers["wer"] = (answers["nearest_id"] != answers["sentence_id"]).astype(np.float64)
        tables.append(answers)
    return pd.concat(tables, ignore_index=True), metrics


def load_tokenizer(path: Path, trained: TrainedEncoder) -> TextTokenizer:
    """Read tokenizer.json; raises SignloomError if the checkpoint was trained with another one."""
    tokenizer, config = TextTokenizer.load(path), trained.model.config
    ids = (tokenizer.size, tokenizer.pad, tokenizer.start, tokenizer.end)
    if ids != (config.vocab_size, config.pad_id, config.bos_id, config.eos_id):
        raise SignloomError(
            f"{path} is not the tokenizer that the checkpoint was trained with; train it again"
        )
    return tokenizer


def decode_clips(
    trained: TrainedEncoder,
    tokenizer: TextTokenizer,
    shards: FeatureShards,
    clip_ids: Sequence[str],
    params: DecodingParams,
    name: str,
) -> list[str]:
    """Return the sentence that beam search finds for each clip of data set `name`."""
    symbols = Symbols(tokenizer.pad, tokenizer.start, tokenizer.end)
    decoded = [""] * len(clip_ids)
    for rows, encoded in encode_clips(trained, shards, clip_ids, params.batch_size, f"decode {name}"):
        found = attention_beam(
            trained.model,
            encoded.frames,
            encoded.valid,
            symbols,
            beam=params.beam,
            alpha=params.length_penalty,
            max_tokens=trained.model.config.max_tokens,
        )
        for row, hypothesis in zip(rows, found, strict=True):
            decoded[row] = tokenizer.decode(hypothesis.tokens)
    return decoded


def nearest_rows(clips: EmbeddedClips, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return, for each of `rows`, the row of the training clip with the most similar embedding."""
    gallery = clips.gallery()
    if not len(gallery):
        raise SignloomError("no signed training clip has an embedding; run stage embed again")
    sentences = clips.table["sentence_id"].to_numpy(np.int64)
    ranked = rank_sentences(clips.vectors[rows], sentences[rows], clips.vectors[gallery], sentences[gallery])
    return np.asarray(gallery[ranked.top])


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
    words = wer_stats(reference, hypothesis)
    rival_words = wer_stats(reference, rival)
    references = [texts[sentence_id] for sentence_id in answers["sentence_id"]]
    multi = wer_multi_stats(references, hypothesis)
    gain = np.stack([rival_words[:, 0] - words[:, 0], words[:, 1]], 1)
    # a text of symbols alone, such as an emoji, has no words
    exact = [
        (words_of(right) or seen(right)) == (words_of(said) or seen(said))
        for right, said in zip(reference, hypothesis, strict=True)
    ]
    return {
        "n": len(answers),
        **figure("wer", words, ratio, *draw, why),
        **figure("wer_multi", multi, ratio, *draw, why),
        **figure("bleu4", bleu_stats(reference, hypothesis), bleu_score, *draw, why),
        **figure("chrf", chrf_stats(reference, hypothesis), chrf_score, *draw, why),
        **mean_figure("exact", np.array(exact, np.float64), *draw, NO_CLIP),
        **mean_figure("inst_top1", aligned["inst_top1"], *draw, one),
        **mean_figure("pos_sim", aligned["pos_sim"], *draw, NO_CLIP),
        **mean_figure("neg_sim", aligned["neg_sim"], *draw, one),
        **figure("nearest_wer", rival_words, ratio, *draw, why),
        **figure("nearest_bleu4", bleu_stats(reference, rival), bleu_score, *draw, why),
        **figure("wer_gain", gain, ratio, *draw, why),
        "wer_signature": WER_SIGNATURE,
        **signatures(),
    }


def figures_without_decoder(figures: dict[str, Any]) -> dict[str, Any]:
    """Return what `score_translations` found about clips and texts, with null for decoded texts."""
    bounds = [f"{name}{end}" for name in _ALIGNED for end in ("", "_low", "_high", "_reason")]
    kept = {name: figures[name] for name in ("n", *bounds) if name in figures}
    nulls = [entry(name, math.nan, None, NOT_DECODED) for name in _DECODED]
    return kept | {name: value for null in nulls for name, value in null.items()}
