"""One-pass beam search over the attention decoder with CTC prefix scores."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from signloom.decoding.beam import Hypothesis, StepDecoder, top_candidates
from signloom.decoding.language_model import GlossNgram
from signloom.text.vocabulary import BLANK, EOS, PAD, SOS

_IMPOSSIBLE = -1000.0  # exp() of it is 0 in float64, but it is finite, so sums never become NaN


@torch.inference_mode()
def joint_beam(
    model: StepDecoder,
    frames: Tensor,
    valid: Tensor,
    log_probs: Tensor,
    *,
    beam: int,
    ctc_weight: float,
    max_tokens: int,
    lm: GlossNgram | None = None,
    lm_weight: float = 0.0,
    length_bonus: float = 0.0,
) -> list[Hypothesis]:
    """Return the best hypothesis of each clip of `frames` (B, T, D); `valid` (B, T) is False at padding.

    `log_probs` (B, T, V) come from the CTC head. Hypotheses are scored as in Watanabe et al., "Hybrid
    CTC/Attention Architecture for End-to-End Speech Recognition" (2017), section II-D:
    ctc_weight * log P_ctc(prefix ...) + (1 - ctc_weight) * log P_attention(prefix)
    + lm_weight * log P_lm(prefix) + length_bonus * labels.
    A finished hypothesis uses P_ctc of exactly its labels, and includes the end token in the other terms.

    Each step ranks all continuations of a clip's beams. End tokens among the first `beam` finish a
    hypothesis; the first `beam` other continuations become the new beams. Equal scores are ordered by beam,
    then by label. A clip stops as soon as none of its beams can exceed its best finished hypothesis; only the
    bonus can raise a score. Every beam ends after `max_tokens` tokens, start and end included.
    """
    search = _Search(model, frames, valid, beam, ctc_weight, max_tokens - 1)
    search.lm, search.lm_weight, search.bonus = lm, lm_weight if lm else 0.0, length_bonus
    if ctc_weight > 0:
        search.ctc = CtcPrefixes.empty(log_probs, valid)
    while search.step < search.limit and len(search.active):
        search.advance()
    return search.answers()


class CtcPrefixes(NamedTuple):
    """CTC forward probabilities of every beam's labels (A, W), for all frames at once.

    `blank` and `label` (A, W, T + 1) are log-probabilities that the first t frames give exactly the labels
    and end in a blank or in the last label. Values after a clip's end are never read.
    """

    log_p: Tensor  # (A, T, V), at least _IMPOSSIBLE
    p: Tensor  # (A, T, V), 0 at padding
    length: Tensor  # (A,)
    blank: Tensor
    label: Tensor
    last: Tensor  # (A, W), -1 for the empty prefix

    @classmethod
    def empty(cls, log_probs: Tensor, valid: Tensor) -> CtcPrefixes:
        """Return the empty prefix of each clip; `log_probs` is (A, T, V), `valid` (A, T)."""
        log_p = log_probs.double().clamp(min=_IMPOSSIBLE)
        blank = _from_start(log_p[:, :, BLANK].cumsum(1))[:, None]
        last = torch.full((len(log_p), 1), -1, device=log_p.device)
        p = log_p.exp() * valid[:, :, None]
        return cls(log_p, p, valid.sum(1), blank, torch.full_like(blank, -torch.inf), last)

    def scores(self) -> Tensor:
        """Return (A, W, V): log P_ctc(labels + v ...), and in column EOS log P_ctc of exactly the labels.

        The first is a sum over the frame in which v begins, of all paths that give the labels before it.
        """
        clips, width, _ = self.blank.shape
        either = torch.logaddexp(self.blank, self.label)
        before = torch.arange(either.shape[2] - 1, device=either.device) < self.length[:, None]
        phi = either[:, :, :-1].masked_fill(~before[:, None], -torch.inf)
        highest = phi.amax(2, keepdim=True).clamp(min=torch.finfo(phi.dtype).min)
        # terms that underflow here are smaller than e^-700 times the likeliest path
        scores = highest + torch.log((phi - highest).exp() @ self.p)
        # equal labels in a row need a blank between them
        column = self.last.clamp(min=0)[:, :, None]
        again = self.log_p.transpose(1, 2).gather(1, column.expand(-1, -1, self.log_p.shape[1]))
        paths = (self.blank[:, :, :-1] + again).masked_fill(~before[:, None], -torch.inf)
        scores.scatter_(2, column, paths.logsumexp(2, keepdim=True))
        end = self.length[:, None, None].expand(clips, width, 1)
        scores[:, :, EOS] = either.gather(2, end).squeeze(2)
        return scores

    def extend(self, parent: Tensor, token: Tensor) -> CtcPrefixes:
        """Return the prefixes of beams `parent` (A, W') with label `token` (A, W') appended.

        r_t = (r_{t-1} + phi_{t-1}) p_t is a sum over the frame in which the label began. With L the running
        sum of log p, log r_t = L_t + log sum_{s <= t} exp(phi_{s-1} - L_{s-1}). This needs one cumulative sum
        and no loop.
        """
        expand = parent[:, :, None].expand(-1, -1, self.blank.shape[2])
        blank, label = self.blank.gather(1, expand), self.label.gather(1, expand)
        repeated = (self.last.gather(1, parent) == token)[:, :, None]
        phi = torch.where(repeated, blank, torch.logaddexp(blank, label))
        own = self.log_p.transpose(1, 2).gather(1, token[:, :, None].expand(-1, -1, self.log_p.shape[1]))
        new_label = _held(phi, _from_start(own.cumsum(2)))
        silence = _from_start(self.log_p[:, :, BLANK].cumsum(1))[:, None].expand_as(new_label)
        return self._replace(blank=_held(new_label, silence), label=new_label, last=token)

    def rows(self, index: Tensor) -> CtcPrefixes:
        """Return the prefixes of the clips `index` (A',)."""
        return CtcPrefixes(*(part[index] for part in self))


def _from_start(sums: Tensor) -> Tensor:
    """Return running sums (..., T) with a 0 prepended for the time before the first frame: (..., T + 1)."""
    return torch.cat([torch.zeros_like(sums[..., :1]), sums], -1)


def _held(entering: Tensor, held: Tensor) -> Tensor:
    """Return log sum_{s < t} exp(entering_s + held_t - held_s) for t from 0, all (..., T + 1)."""
    inside = torch.logcumsumexp(entering[..., :-1] - held[..., :-1], -1) + held[..., 1:]
    return torch.cat([torch.full_like(inside[..., :1], -torch.inf), inside], -1)


class _Search:
    """The beams of the active clips: `plain` (A, W) are scores without CTC, `history` is (A, W, step)."""

    lm: GlossNgram | None = None
    lm_weight = bonus = 0.0
    ctc: CtcPrefixes | None = None

    def __init__(
        self, model: StepDecoder, frames: Tensor, valid: Tensor, beam: int, ctc_weight: float, limit: int
    ) -> None:
        self.model, self.beam, self.ctc_weight, self.limit = model, beam, ctc_weight, limit
        clips, device = frames.shape[0], frames.device
        self.cache = model.start(frames, valid)
        self.active = torch.arange(clips, device=device)
        self.plain = torch.zeros(clips, 1, device=device, dtype=torch.float64)
        self.scores = self.plain  # (A, W), with CTC
        self.history = torch.empty(clips, 1, 0, dtype=torch.long, device=device)
        self.best = torch.full((clips,), -torch.inf, device=device, dtype=torch.float64)
        self.found: list[list[int]] = [[] for _ in range(clips)]
        self.step = 0

    def advance(self) -> None:
        """Read the last labels, rank the continuations, collect finished hypotheses, drop finished clips."""
        plain = self._continuations()
        _, width, vocabulary = plain.shape
        total = plain if self.ctc is None else plain + self.ctc_weight * self.ctc.scores()
        total[:, :, [PAD, BLANK, SOS]] = -torch.inf
        values, flat = top_candidates(total.flatten(1), min(2 * self.beam, width * vocabulary))
        parent, token = flat // vocabulary, flat % vocabulary
        self.step += 1
        ends = token == EOS
        if self.step < self.limit:
            first = values[:, : self.beam].masked_fill(~ends[:, : self.beam], -torch.inf)
            self._collect(first, parent[:, : self.beam])
        else:  # this is the last step, so every beam may end
            self._collect(total[:, :, EOS], torch.arange(width, device=token.device).expand(len(total), -1))
        # a stable sort puts the continuations first and keeps their order
        going = ends.long().argsort(dim=1, stable=True)[:, : min(self.beam, flat.shape[1] - width)]
        self.scores = values.gather(1, going)
        # a beam that only fills the array must stay impossible
        impossible = self.scores == -torch.inf
        self.plain = plain.flatten(1).gather(1, flat.gather(1, going)).masked_fill(impossible, -torch.inf)
        self._continue(parent.gather(1, going), token.gather(1, going), width)

    def _continuations(self) -> Tensor:
        """Return (A, W, V): the score without CTC of every beam plus one token, the end token included."""
        clips, width = self.plain.shape
        last = self.history[:, :, -1] if self.step else torch.full_like(self.plain, SOS).long()
        logits, self.cache = self.model.step(last.reshape(-1), self.cache)
        plain = self.plain[:, :, None].expand(-1, -1, logits.shape[1])
        if self.ctc_weight < 1:
            log_p = torch.log_softmax(logits.double(), -1).view(clips, width, -1)
            plain = plain + (1 - self.ctc_weight) * log_p
        if self.lm is not None and self.lm_weight > 0:
            plain = plain + self.lm_weight * self.lm.log_probs(self.history)
        bonus = torch.full_like(plain[0, 0], self.bonus)
        bonus[EOS] = 0.0
        return plain + bonus

    def _collect(self, values: Tensor, parent: Tensor) -> None:
        """Keep each clip's best finished hypothesis.

        Beam `parent` (A, K) ends with score `values` (A, K), which is -inf if the beam does not end.
        """
        top, place = values.max(1)
        for row in (top > self.best[self.active]).nonzero().flatten().tolist():
            clip = int(self.active[row])
            self.best[clip] = top[row]
            self.found[clip] = self.history[row, parent[row, place[row]]].tolist()

    def _continue(self, parent: Tensor, token: Tensor, width: int) -> None:
        """Replace the beams by `parent` + `token`, and drop clips whose answer is final."""
        clips, new_width = parent.shape
        bound = self.scores[:, 0] + self.bonus * (self.limit - self.step)
        undecided = (bound > self.best[self.active]).nonzero().flatten()
        # dropping rows copies the frames' keys and values, so do it only when it halves the batch
        drop = 2 * len(undecided) <= clips
        rows = undecided if drop else torch.arange(clips, device=parent.device)
        if drop:
            self.active, self.scores, self.plain = self.active[rows], self.scores[rows], self.plain[rows]
            self.ctc = self.ctc.rows(rows) if self.ctc is not None else None
        index = (rows[:, None] * width + parent[rows]).flatten()
        self.cache = self.model.reorder(self.cache, index, cross=drop or new_width != width)
        kept = self.history[rows].gather(1, parent[rows][:, :, None].expand(-1, -1, self.step - 1))
        self.history = torch.cat([kept, token[rows][:, :, None]], dim=2)
        if self.ctc is not None:
            self.ctc = self.ctc.extend(parent[rows], token[rows])

    def answers(self) -> list[Hypothesis]:
        """Return one hypothesis per clip; if none can end, it has no labels and score -inf."""
        return [
            Hypothesis(tokens, score) for tokens, score in zip(self.found, self.best.tolist(), strict=True)
        ]
