"""Load the training and validation data of the sign2text family."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from signloom.errors import SignloomError
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.text.recombine import Pair
from signloom.text.sentences import read_splits
from signloom.text.tokenizer import TextTokenizer
from signloom.training.ctc import rows_needed
from signloom.training.sentences.data import ClipSet, Texts
from signloom.training.sentences.glosses import ClipGlosses, NewSentences


@dataclass(frozen=True)
class SentenceFiles:
    """All that a training reads; of features, masks and indexes one per shard."""

    features: Sequence[Path]
    mask: Sequence[Path]
    index: Sequence[Path]
    stats: Path
    splits: Path
    texts: Path
    embeddings: Path  # of the texts
    tokenizer: Path
    glosses: Path | None = None  # gloss_vocabulary.json; this and the next only if glosses are read
    gloss_lines: Path | None = None


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
    glosses: ClipGlosses | None = None  # None: the decoder reads frames

    @cached_property
    def classes(self) -> Tensor:
        """The ids (C,) of the sentences of the training clips, ascending."""
        return torch.tensor(sorted(set(self.train.sentences)), device=self.mean.device)

    @cached_property
    def class_rows(self) -> Tensor:
        """The row (C,) of the text of each of `classes`."""
        rows = [self.texts.rows_of[sentence][0] for sentence in self.classes.tolist()]
        return torch.tensor(rows, device=self.mean.device)

    def new_sentences(self, max_tokens: int, seq_len: int) -> NewSentences | None:
        """Return what makes new sentences of the training's; None without glosses.

        Lines of more than `seq_len` glosses are left out.
        """
        if self.glosses is None:
            return None
        pairs: dict[int, Pair] = {}
        for sentence, ids in zip(self.train.sentences, self.train.glosses, strict=True):
            if 0 < len(ids) <= seq_len:
                line = tuple(self.glosses.vocabulary[gloss] for gloss in ids)
                text = self.texts.texts[self.texts.rows_of[sentence][0]]
                pairs.setdefault(sentence, Pair(line, tuple(text.split())))
        return NewSentences(pairs, self.glosses.vocabulary, self.tokenizer, max_tokens)

    def class_of(self, sentences: Tensor) -> Tensor:
        """Return the place (N,) in `classes` of `sentences` (N,), all of them of training clips."""
        return torch.searchsorted(self.classes, sentences)

    @classmethod
    def load(
        cls, files: SentenceFiles, max_tokens: int, device: torch.device, with_glosses: bool = False
    ) -> Self:
        """Read `files`; raises SignloomError if there is nothing to train on."""
        shards = FeatureShards(files.features, files.index, files.mask)
        splits = read_splits(files.splits)
        tokenizer = TextTokenizer.load(files.tokenizer)
        texts = Texts(pd.read_parquet(files.texts), tokenizer, max_tokens)
        glosses = read_glosses(files, splits) if with_glosses else None
        known = glosses.ids if glosses else None
        train, val = (ClipSet.of(splits, split, known) for split in ("train", "val"))
        if not len(train):
            raise SignloomError(
                f"{files.splits}: the training split has no clip with a sentence; "
                "check the splits section and rejects.csv"
            )
        if not len(val):
            print("no validation clip has a sentence, so the training loss selects the best checkpoint")
        check_clips(train, shards, texts)
        check_clips(val, shards, texts)
        mean, std = map(torch.from_numpy, Stats.read(files.stats))
        return cls(shards, train, val, texts, tokenizer, mean.to(device), std.to(device), glosses)


def read_glosses(files: SentenceFiles, splits: pd.DataFrame) -> ClipGlosses | None:
    """Return the glosses of the clips; raises SignloomError if their files are not given."""
    if files.glosses is None or files.gloss_lines is None:
        raise SignloomError(
            "sign2text.lambda_gloss: needs the inputs glosses and gloss_lines of stage text; "
            "name them or set it to 0"
        )
    return ClipGlosses.read(files.glosses, files.gloss_lines, ClipSet.of(splits, "train").ids)


def warn_of_lengths(corpus: Corpus, seq_len: int) -> None:
    """Warn of training clips longer than `seq_len`, which are cropped, and of those with too many glosses.

    The glosses of both are not learnt. Raises SignloomError if glosses are to be learnt and no clip that has
    some is neither.
    """
    lengths = [corpus.shards.length(clip_id) for clip_id in corpus.train.ids]
    if corpus.glosses is not None:
        _check_fit(corpus.train, lengths)
    long = sum(length > seq_len for length in lengths)
    if not long:
        return
    longest = f"the longest has {max(lengths)} rows; raise sign2text.seq_len"
    signed = [length for length, line in zip(lengths, corpus.train.glosses, strict=True) if line]
    if corpus.glosses is not None and min(signed, default=0) > seq_len:
        raise SignloomError(
            f"sign2text.lambda_gloss: all training clips with glosses are longer than sign2text.seq_len "
            f"{seq_len}, so no gloss could be learnt; {longest}, or set lambda_gloss to 0"
        )
    lost = ", and their glosses are not learnt" if corpus.glosses is not None else ""
    print(
        f"warning: train_sign2text: {long} of {len(lengths)} training clips are longer than "
        f"sign2text.seq_len {seq_len}: they are cropped{lost}; {longest}",
        file=sys.stderr,
    )


def _check_fit(clips: ClipSet, lengths: list[int]) -> None:
    """Warn of clips with fewer rows than CTC needs for their glosses; raises SignloomError if all are."""
    signed = [it for it in zip(clips.ids, clips.glosses, lengths, strict=True) if it[1]]
    short = [it for it in signed if rows_needed(it[1]) > it[2]]
    if not short:
        return
    clip_id, line, length = short[0]
    first = f"first: {clip_id} has {length} rows and needs {rows_needed(line)}"
    if len(short) == len(signed):
        raise SignloomError(
            "sign2text.lambda_gloss: every training clip with glosses has too few rows for them, so no gloss "
            f"could be learnt; {first}; raise pose.fps or landmarks.max_fps, or set lambda_gloss to 0"
        )
    print(
        f"warning: train_sign2text: the glosses of {len(short)} of {len(signed)} training clips are not "
        f"learnt, because the clips have too few rows for them; {first}",
        file=sys.stderr,
    )


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
