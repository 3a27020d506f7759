"""Decode every held-out clip by beam search; score the sentences, with intervals and a retrieval baseline."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from signloom.decoding.attention import attention_beam
from signloom.errors import SignloomError
from signloom.evaluation.datasets import EmbeddedClips, data_sets
from signloom.evaluation.embed import TrainedEncoder, encode_clips, load_trained
from signloom.evaluation.sign2text import alignment, nearest, score_translations
from signloom.evaluation.translation import wer_stats
from signloom.features.shards import FeatureShards
from signloom.files import write_csv
from signloom.metric_files import write_metrics
from signloom.params.evaluation import DecodingParams, EvaluationParams
from signloom.stage import Job, run_stage
from signloom.text.sentences import read_splits
from signloom.text.tokenizer import TextTokenizer
from signloom.text.vocabulary import Symbols


def work(job: Job) -> None:
    torch.set_num_threads(1)  # sums depend on the number of threads, but outputs must not
    decoding = job.section("decoding", DecodingParams)
    params = job.section("evaluation", EvaluationParams)
    trained = load_trained(job.input("checkpoint"), job.input("stats"))
    tokenizer = load_tokenizer(job.input("tokenizer"), trained)
    shards = FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask"))
    texts = pd.read_parquet(job.input("texts"))
    frozen = np.load(job.input("text_embeddings"), allow_pickle=False)
    signer = pd.read_parquet(job.input("metadata")).set_index("clip_id")["signer_id"]
    if len(frozen) != len(texts):
        raise SignloomError(f"{len(texts)} texts but {len(frozen)} text embeddings; run stage text again")
    clips = EmbeddedClips(job.input("embeddings"), job.input("map"))
    of_sentence = {int(key): group["text"].tolist() for key, group in texts.groupby("sentence_id")}
    metrics, tables = {}, []
    for name, clip_ids in data_sets(read_splits(job.input("splits"))).items():
        rows = clips.rows(clip_ids)
        answers = clips.table.iloc[rows][["clip_id", "sentence_id"]].reset_index(drop=True)
        answers.insert(1, "data", name)
        answers.insert(2, "signer_id", signer.loc[clip_ids].to_numpy())
        answers["reference"] = [of_sentence[sentence][0] for sentence in answers["sentence_id"]]
        answers["hypothesis"] = decode_clips(trained, tokenizer, shards, clip_ids, decoding, name)
        answers["nearest"] = nearest_sentences(clips, rows)
        aligned = alignment(
            clips.vectors[rows], answers["reference"].tolist(), text_vectors(trained, texts, frozen, answers)
        )
        metrics[name] = score_translations(answers, of_sentence, aligned, params)
        edits, words = wer_stats(answers["reference"].tolist(), answers["hypothesis"].tolist()).T
        answers["wer"] = np.divide(edits, words, out=np.full(len(edits), np.nan), where=words > 0).round(6)
        tables.append(answers)
    write_csv(job.output("predictions"), pd.concat(tables, ignore_index=True))
    write_metrics(job.output("metrics"), metrics)


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
    clip_ids: list[str],
    params: DecodingParams,
    label: str,
) -> list[str]:
    """Return the sentence that beam search finds for each clip."""
    symbols = Symbols(tokenizer.pad, tokenizer.start, tokenizer.end)
    decoded = [""] * len(clip_ids)
    for rows, encoded in encode_clips(trained, shards, clip_ids, params.batch_size, f"decode {label}"):
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


def nearest_sentences(clips: EmbeddedClips, rows: npt.NDArray[np.intp]) -> list[str]:
    """Return, for each of `rows`, the sentence of the training clip with the most similar embedding."""
    gallery = clips.gallery()
    if not len(gallery):
        raise SignloomError("no signed training clip has an embedding; run stage embed again")
    return list(clips.table["sentence"].iloc[gallery[nearest(clips.vectors[rows], clips.vectors[gallery])]])


def text_vectors(
    trained: TrainedEncoder, texts: pd.DataFrame, frozen: npt.NDArray[np.float32], answers: pd.DataFrame
) -> npt.NDArray[np.float32]:
    """Return the projected embedding (N, E) of each answer's reference; rows have unit length."""
    main = texts[texts["variation"] == 0]
    row = dict(zip(main["sentence_id"], main.index, strict=True))
    wanted = frozen[[row[sentence] for sentence in answers["sentence_id"]]]
    with torch.inference_mode():
        projected = trained.model.project_text(torch.from_numpy(wanted).to(trained.device))
    return np.asarray(projected.float().cpu().numpy())


def main(argv: list[str] | None = None) -> int:
    return run_stage("evaluate_sign2text", work, argv, __doc__)


if __name__ == "__main__":
    sys.exit(main())
