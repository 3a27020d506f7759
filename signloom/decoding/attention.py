"""Beam search with the attention decoder alone, with cached keys and values."""

from typing import Any, Protocol

import torch
from torch import Tensor

from signloom.decoding.beam import Hypothesis, search
from signloom.decoding.scorers import Scorer, WeightedScorers
from signloom.text.vocabulary import Symbols


class StepDecoder(Protocol):
    """A decoder that reads one token per row and keeps what it has read in its own cache."""

    def start(self, frames: Tensor, valid: Tensor) -> Any:
        """Return a cache for `frames` (B, T, D); `valid` (B, T) is False at padding."""

    def step(self, tokens: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Return logits (rows, V) for the token that follows `tokens` (rows,), and the new cache."""

    def reorder(self, cache: Any, index: Tensor, cross: bool = True) -> Any:
        """Return the cache of rows `index`; `cross` may be False if no row changes its clip."""


class AttentionScorer(Scorer):
    """log P(token | prefix, frames) of an attention decoder; each beam has one row in its cache."""

    def __init__(self, model: StepDecoder, frames: Tensor, valid: Tensor, dtype: torch.dtype) -> None:
        """Read `frames` (A, T, D); `valid` (A, T) is False at padding. Scores have the type `dtype`."""
        self.model, self.dtype = model, dtype
        self.cache = model.start(frames, valid)

    def scores(self, prefixes: Tensor) -> Tensor:
        self.beams = prefixes.shape[:2]
        logits, self.cache = self.model.step(prefixes[:, :, -1].flatten(), self.cache)
        return torch.log_softmax(logits.to(self.dtype), -1).view(*self.beams, -1)

    def reorder(self, clips: Tensor, parents: Tensor) -> None:
        index = clips[:, None] * self.beams[1] + parents
        self.cache = self.model.reorder(self.cache, index.flatten(), cross=parents.shape != self.beams)


@torch.inference_mode()
def attention_beam(
    model: StepDecoder,
    frames: Tensor,
    valid: Tensor,
    symbols: Symbols,
    *,
    beam: int,
    max_tokens: int,
    alpha: float = 0.0,
) -> list[Hypothesis]:
    """Return the best hypothesis of each clip of `frames` (B, T, D); `valid` (B, T) is False at padding.

    Its score is log-probability / length penalty. One beam without a penalty takes the likeliest token at
    every step. See `signloom.decoding.beam.search`.
    """
    scorer = AttentionScorer(model, frames, valid, torch.float32)
    ranker = WeightedScorers([(1.0, scorer)], symbols, frames.device, torch.float32)
    return search(ranker, len(frames), symbols.end, beam=beam, max_tokens=max_tokens, alpha=alpha)
