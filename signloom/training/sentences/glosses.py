"""The glosses of clips that have a sentence: their ids, their loss, and new sentences made from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from signloom.text.glosses import read_gloss_lines, read_vocabulary
from signloom.text.recombine import Pair, Recombination
from signloom.text.tokenizer import TextTokenizer
from signloom.text.vocabulary import BLANK, PAD, UNK
from signloom.training.ctc import ctc_losses

_STREAM = 3  # separates the draws of new sentences from those of clips and of the sampler

Ids = tuple[int, ...]


class ClipGlosses(NamedTuple):
    """The gloss vocabulary, and the gloss ids of each clip that has a gloss line."""

    vocabulary: list[str]
    ids: dict[str, Ids]

    @classmethod
    def read(cls, vocabulary: Path, lines: Path, training: Sequence[str]) -> "ClipGlosses | None":
        """Read gloss_vocabulary.json and gloss_lines.csv; None if no clip of `training` has a gloss."""
        written = read_gloss_lines(lines)["gloss"].to_dict()
        if not any(written.get(clip_id) for clip_id in training):
            print("no training clip has a gloss, so the sentence decoder reads the frames")
            return None
        names = read_vocabulary(vocabulary)
        place = {gloss: number for number, gloss in enumerate(names)}
        ids = {clip: tuple(place.get(g, UNK) for g in line.split()) for clip, line in written.items() if line}
        return cls(names, ids)


def gloss_loss(log_probs: Tensor, lengths: Tensor, glosses: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of CTC losses, each divided by its number of glosses, and the number of clips.

    `log_probs` is (B, T, V), and `lengths` (B,) are frames. `glosses` (B, L) end in padding. A clip without
    glosses, or with too few frames for them (Graves et al. 2006, section 3.1), is left out.
    """
    known = glosses != PAD
    labels = known.sum(1)
    twice = (glosses[:, 1:] == glosses[:, :-1]) & known[:, 1:]  # need a blank between them
    used = ((labels > 0) & (labels + twice.sum(1) <= lengths)).nonzero().flatten()
    if not len(used):
        return log_probs.new_zeros(()), labels.new_zeros(())
    losses = ctc_losses(log_probs[used], lengths[used], glosses[used], labels[used])
    return (losses / labels[used]).sum(), labels.new_tensor(len(used))


class Invented(NamedTuple):
    """Sentences that no clip shows; the gloss of a frame is certain."""

    shares: Tensor  # (N, T, V) float32, 1 for the gloss or blank of each frame
    valid: Tensor  # (N, T) bool
    tokens: Tensor  # (N, L) int64, from start to end token, then padding

    def to(self, device: torch.device) -> "Invented":
        """Return the sentences on `device`."""
        return Invented(*(part.to(device) for part in self))


class NewSentences:
    """Glosses and tokens of new sentences, made from those of the training; they have no clip."""

    def __init__(
        self, sentences: dict[int, Pair], vocabulary: list[str], tokenizer: TextTokenizer, max_tokens: int
    ) -> None:
        """Take glosses and words of each sentence."""
        self._number = {sentence: number for number, sentence in enumerate(sentences)}
        self._pairs = Recombination(list(sentences.values()))
        self._place = {gloss: number for number, gloss in enumerate(vocabulary)}
        self._tokenizer, self._max_tokens = tokenizer, max_tokens

    def draw(
        self, sentences: Tensor, lengths: Tensor, swap_p: float, rng: np.random.Generator
    ) -> Invented | None:
        """Return a new sentence for each of `sentences` (B,) with glosses; None if none has them.

        It has as many frames as its clip, whose `lengths` are (B,), or as glosses if these are more. Every
        gloss is in one frame, and all choices of frames in order are equally likely.
        """
        drawn = [
            (self._pairs.draw(self._number[sentence], swap_p, rng), length)
            for sentence, length in zip(sentences.tolist(), lengths.tolist(), strict=True)
            if sentence in self._number
        ]
        if not drawn:
            return None
        frames = [max(length, len(pair.glosses)) for pair, length in drawn]
        shares = torch.zeros(len(drawn), max(frames), len(self._place))
        shares[:, :, BLANK] = 1
        for row, (pair, _) in enumerate(drawn):
            at = np.sort(rng.choice(frames[row], len(pair.glosses), replace=False)).tolist()
            shares[row, at, BLANK] = 0
            shares[row, at, [self._place[gloss] for gloss in pair.glosses]] = 1
        valid = torch.arange(max(frames))[None] < torch.tensor(frames)[:, None]
        ids = self._tokenizer.encode([" ".join(pair.words) for pair, _ in drawn], self._max_tokens)
        longest = max(map(len, ids))
        pad = self._tokenizer.pad
        tokens = torch.tensor([line + [pad] * (longest - len(line)) for line in ids])
        return Invented(shares, valid, tokens)


def drawing(seed: int, epoch: int, batch: int) -> np.random.Generator:
    """Return the generator of the new sentences of a batch."""
    return np.random.default_rng([seed, epoch, batch, _STREAM])
