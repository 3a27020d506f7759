"""Greedy and beam search over all clips of a batch at once, with cached keys and values of the decoder."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class StepDecoder(Protocol):
    """A decoder that reads one token per row and keeps what it has read in its own cache."""

    def start(self, frames: Tensor, valid: Tensor) -> Any:
        """Return a cache for `frames` (B, T, D); `valid` (B, T) is False at padding."""

    def step(self, tokens: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Return logits (rows, V) for the token that follows `tokens` (rows,), and the new cache."""

    def reorder(self, cache: Any, index: Tensor, cross: bool = True) -> Any:
        """Return the cache of rows `index`; `cross` may be False if no row changes its clip."""


class Hypothesis(NamedTuple):
    """The tokens between start and end, and their score.

    The score is log-probability / length penalty; the penalty counts the end token.
    """

    tokens: list[int]
    score: float


class Symbols(NamedTuple):
    """Ids of special tokens: padding and start are never decoded, and end closes a sentence."""

    pad: int
    start: int
    end: int


def length_penalty(tokens: int, alpha: float) -> float:
    """Return ((5 + n) / 6) ** alpha for n tokens (Wu et al. 2016, equation 14)."""
    return float(((5 + tokens) / 6) ** alpha)


@torch.inference_mode()
def greedy_search(
    model: StepDecoder, frames: Tensor, valid: Tensor, symbols: Symbols, max_tokens: int
) -> list[list[int]]:
    """Return the tokens of each clip of `frames` (B, T, D), taking the likeliest one at every step.

    The end token is left out. `max_tokens` includes start and end. Of equal scores, the first wins.
    """
    clips = frames.shape[0]
    cache = model.start(frames, valid)
    token = torch.full((clips,), symbols.start, dtype=torch.long, device=frames.device)
    open_ = torch.ones(clips, dtype=torch.bool, device=frames.device)
    columns: list[Tensor] = []
    for _ in range(max_tokens - 1):
        logits, cache = model.step(token, cache)
        logits = logits.float().index_fill(1, _banned(symbols, frames.device), -torch.inf)
        token = torch.where(open_, logits.argmax(1), symbols.end)
        open_ = open_ & (token != symbols.end)
        columns.append(token)
        if not open_.any():
            break
    if not columns:
        return [[] for _ in range(clips)]
    return [_before(row, symbols.end) for row in torch.stack(columns, 1).tolist()]


@torch.inference_mode()
def beam_search(
    model: StepDecoder,
    frames: Tensor,
    valid: Tensor,
    symbols: Symbols,
    *,
    beam: int,
    alpha: float,
    max_tokens: int,
) -> list[Hypothesis]:
    """Return the best hypothesis of each clip of `frames` (B, T, D); `valid` (B, T) is False at padding.

    Each step ranks all continuations of a clip's beams by log-probability. End tokens among the first `beam`
    finish a sentence; the first `beam` other continuations become the new beams. Equal scores are ordered by
    beam, then by token id. The answer is the finished sentence with the highest log-probability /
    length_penalty. A clip stops as soon as none of its beams can exceed its answer, so stopping early changes
    nothing. If no sentence is finished after `max_tokens` (start and end included), the answer is the
    likeliest beam.
    """
    state = _Search(model, frames, valid, symbols, beam, alpha, max_tokens - 1)
    while state.step < state.limit and len(state.active):
        state.advance()
    return state.answers()


class _Search:
    """The beams of the active clips: `scores` (A, W) and `history` (A, W, step).

    Each beam has one row in the cache.
    """

    def __init__(
        self,
        model: StepDecoder,
        frames: Tensor,
        valid: Tensor,
        symbols: Symbols,
        beam: int,
        alpha: float,
        limit: int,
    ) -> None:
        self.model, self.symbols = model, symbols
        self.beam, self.alpha, self.limit = beam, alpha, limit
        clips, device = frames.shape[0], frames.device
        self.cache = model.start(frames, valid)
        self.active = torch.arange(clips, device=device)
        # each clip begins with one beam, and the first step adds the others
        self.scores = torch.zeros(clips, 1, device=device)
        self.history = torch.empty(clips, 1, 0, dtype=torch.long, device=device)
        self.best = torch.full((clips,), -torch.inf, device=device)
        self.found: list[list[int]] = [[] for _ in range(clips)]
        self.step = 0

    def advance(self) -> None:
        """Read the last tokens, rank the continuations, collect finished sentences, drop finished clips."""
        clips, width = self.scores.shape
        last = (
            self.history[:, :, -1] if self.step else torch.full_like(self.scores, self.symbols.start).long()
        )
        logits, self.cache = self.model.step(last.reshape(-1), self.cache)
        log_p = torch.log_softmax(logits.float(), dim=-1)
        log_p.index_fill_(1, _banned(self.symbols, log_p.device), -torch.inf)
        vocabulary = log_p.shape[1]
        total = (self.scores[:, :, None] + log_p.view(clips, width, vocabulary)).flatten(1)
        values, flat = top_candidates(total, min(2 * self.beam, width * vocabulary))
        parent, token = flat // vocabulary, flat % vocabulary
        self.step += 1
        ends = token == self.symbols.end
        self._collect(values, parent, ends)
        # a stable sort puts the continuations first and keeps their order
        going = ends.long().argsort(dim=1, stable=True)[:, : min(self.beam, flat.shape[1] - width)]
        self._continue(values.gather(1, going), parent.gather(1, going), token.gather(1, going), width)

    def _collect(self, values: Tensor, parent: Tensor, ends: Tensor) -> None:
        """Keep each clip's best finished sentence among the first `beam` candidates."""
        scored = values / length_penalty(self.step, self.alpha)
        top, place = scored[:, : self.beam].masked_fill(~ends[:, : self.beam], -torch.inf).max(1)
        better = top > self.best[self.active]
        for row in better.nonzero().flatten().tolist():
            clip = int(self.active[row])
            self.best[clip] = top[row]
            self.found[clip] = self.history[row, parent[row, place[row]]].tolist()

    def _continue(self, values: Tensor, parent: Tensor, token: Tensor, width: int) -> None:
        """Replace the beams by `parent` + `token`, and drop clips whose answer is final."""
        clips, new_width = parent.shape
        bound = values[:, 0] / length_penalty(self.limit, self.alpha)
        undecided = (bound > self.best[self.active]).nonzero().flatten()
        # dropping rows copies the frames' keys and values, so do it only when it halves the batch
        drop = 2 * len(undecided) <= clips
        rows = undecided if drop else torch.arange(clips, device=parent.device)
        index = (rows[:, None] * width + parent[rows]).flatten()
        self.cache = self.model.reorder(self.cache, index, cross=drop or new_width != width)
        kept = self.history[rows].gather(1, parent[rows][:, :, None].expand(-1, -1, self.step - 1))
        self.history = torch.cat([kept, token[rows][:, :, None]], dim=2)
        self.scores = values[rows]
        self.active = self.active[rows]

    def answers(self) -> list[Hypothesis]:
        """Return one hypothesis per clip, a truncated one if none is finished."""
        penalty = length_penalty(max(self.limit, 1), self.alpha)
        for row, clip in enumerate(self.active.tolist()):
            if self.best[clip] == -torch.inf:
                self.found[clip] = self.history[row, 0].tolist()
                self.best[clip] = self.scores[row, 0] / penalty
        return [
            Hypothesis(tokens, score) for tokens, score in zip(self.found, self.best.tolist(), strict=True)
        ]


def top_candidates(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` highest scores of each row of `scores` (rows, N) and their columns.

    Both results are (rows, count), highest first, with equal scores ordered by column. `torch.topk` does not
    define the order of equal scores.
    """
    # ask for one more: if it equals the last, topk chose among equal scores, and that row is chosen again
    values, columns = scores.topk(min(count + 1, scores.shape[1]), dim=1)
    crowded = (values[:, count:] == values[:, count - 1 : count]).any(1)
    lowest, columns = values[:, count - 1], columns[:, :count].contiguous()
    for row in crowded.nonzero().flatten().tolist():
        reach = (scores[row] >= lowest[row]).nonzero().flatten()
        columns[row] = reach[scores[row][reach].argsort(descending=True, stable=True)[:count]]
    columns = columns.sort(1).values
    values = scores.gather(1, columns)
    order = values.argsort(dim=1, descending=True, stable=True)
    return values.gather(1, order), columns.gather(1, order)


def _banned(symbols: Symbols, device: torch.device) -> Tensor:
    return torch.tensor([symbols.pad, symbols.start], device=device)


def _before(tokens: list[int], end: int) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens
