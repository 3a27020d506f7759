"""Load the training and validation data of the sign2text family."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from signloom.errors import SignloomError
from signloom.features.shards import FeatureShards
from signloom.stage import Job
from signloom.text.sentences import read_splits
from signloom.text.tokenizer import TextTokenizer
from signloom.training.sentences.data import ClipSet, Texts


@dataclass(frozen=True)
class Corpus:
    """Training and validation clips, their texts, and the feature stats, which are on the device."""

    shards: FeatureShards
    train: ClipSet
    val: ClipSet
    texts: Texts
    tokenizer: TextTokenizer
    mean: Tensor
    std: Tensor

    @classmethod
    def load(cls, job: Job, max_tokens: int, device: torch.device) -> Corpus:
        """Read the stage's inputs; raises SignloomError if there is nothing to train on."""
        shards = FeatureShards(job.input_list("features"), job.input_list("index"), job.input_list("mask"))
        splits = read_splits(job.input("splits"))
        tokenizer = TextTokenizer.load(job.input("tokenizer"))
        texts = Texts(pd.read_parquet(job.input("texts")), tokenizer, max_tokens)
        train, val = ClipSet.of(splits, "train"), ClipSet.of(splits, "val")
        if not len(train):
            raise SignloomError(
                f"{job.input('splits')}: the training split has no clip with a sentence; "
                "check the splits section and build/rejects.csv"
            )
        if not len(val):
            print("no validation clip has a sentence, so the training loss selects the best checkpoint")
        check_clips(train, shards, texts)
        check_clips(val, shards, texts)
        mean, std = read_stats(job.input("stats"))
        return cls(shards, train, val, texts, tokenizer, mean.to(device), std.to(device))


def read_stats(path: Path) -> tuple[Tensor, Tensor]:
    """Return `feature_mean` and `feature_std` (540,) of global_stats.npz."""
    with np.load(path, allow_pickle=False) as stats:
        mean, std = torch.from_numpy(stats["feature_mean"]), torch.from_numpy(stats["feature_std"])
    if not (torch.isfinite(mean).all() and (std > 0).all()):
        raise SignloomError(
            f"{path}: means must be finite and standard deviations above 0; build stage stats_pose again"
        )
    return mean, std


def check_clips(clips: ClipSet, shards: FeatureShards, texts: Texts) -> None:
    """Raise SignloomError if a clip has no feature rows or its sentence has no text."""
    for clip_id, sentence in zip(clips.ids, clips.sentences, strict=True):
        if shards.length(clip_id) == 0:
            raise SignloomError(f"clip {clip_id} of splits.csv has no feature rows; build stage splits again")
        if sentence not in texts.rows_of:
            raise SignloomError(f"sentence {sentence} of clip {clip_id} has no text; build stage text again")


def read_text_embeddings(path: Path, rows: int) -> Tensor:
    """Return the embeddings (rows, dim) of all texts; raises SignloomError if the file has another number."""
    table = torch.from_numpy(np.load(path, allow_pickle=False))
    if len(table) != rows:
        raise SignloomError(f"{path}: {len(table)} rows for {rows} texts; build stage text again")
    return table
