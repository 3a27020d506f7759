"""One-pass beam search over the attention decoder with CTC prefix scores and a language model."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from signloom.decoding.attention import AttentionScorer, StepDecoder
from signloom.decoding.beam import Hypothesis, search
from signloom.decoding.language_model import GlossNgram
from signloom.decoding.scorers import Scorer, WeightedScorers
from signloom.text.vocabulary import BLANK, EOS, SYMBOLS

_IMPOSSIBLE = -1000.0  # exp() of it is 0 in float64, but it is finite, so sums never become NaN


class Reader(NamedTuple):
    """What one network says of A clips: its decoder, the frames that this reads, and its CTC head."""

    model: StepDecoder | None  # None without an attention decoder
    frames: Tensor  # (A, T, D)
    valid: Tensor  # (A, T), False at padding
    log_probs: Tensor  # (A, T, V), of the CTC head


@torch.inference_mode()
def joint_beam(
    readers: Sequence[Reader],
    *,
    beam: int,
    ctc_weight: float,
    max_tokens: int,
    lm: GlossNgram | None = None,
    lm_weight: float = 0.0,
    length_bonus: float = 0.0,
) -> list[Hypothesis]:
    """Return the best hypothesis of each clip by all `readers`, whose scores are averaged.

    Hypotheses are scored as in Watanabe et al., "Hybrid CTC/Attention Architecture for End-to-End Speech
    Recognition" (2017), section II-D:
    ctc_weight * log P_ctc(prefix ...) + (1 - ctc_weight) * log P_attention(prefix)
    + lm_weight * log P_lm(prefix) + length_bonus * labels.
    A finished hypothesis uses P_ctc of exactly its labels, and includes the end token in the other terms.
    CTC scores are averaged over prefixes and not over frames, because networks put the spike of a gloss on
    different frames. Every beam ends after `max_tokens` tokens, start and end included. If none can, the
    answer has no labels and score -inf. See `signloom.decoding.beam.search`.
    """
    share, valid = 1 / len(readers), readers[0].valid
    scorers: list[tuple[float, Scorer]] = []
    if ctc_weight < 1:
        scorers += [
            ((1 - ctc_weight) * share, AttentionScorer(it.model, it.frames, it.valid, torch.float64))
            for it in readers
            if it.model is not None
        ]
    if lm is not None and lm_weight > 0:
        scorers.append((lm_weight, lm))
    if length_bonus > 0:
        scorers.append((length_bonus, LengthBonus(readers[0].log_probs)))
    if ctc_weight > 0:
        scorers += [(ctc_weight * share, CtcScorer(it.log_probs, it.valid)) for it in readers]
    ranker = WeightedScorers(
        scorers, SYMBOLS, valid.device, torch.float64, never=(BLANK,), must_end=max_tokens - 1
    )
    return search(ranker, len(valid), EOS, beam=beam, max_tokens=max_tokens, bonus=length_bonus)


class LengthBonus(Scorer):
    """1 for every label and 0 for the end."""

    def __init__(self, log_probs: Tensor) -> None:
        self.each = torch.ones_like(log_probs[0, 0])
        self.each[EOS] = 0

    def scores(self, prefixes: Tensor) -> Tensor:
        return self.each.expand(*prefixes.shape[:2], -1)


class CtcScorer(Scorer):
    """log P_ctc(prefix + v ...) - log P_ctc(prefix ...); at the end, log P_ctc of exactly the prefix - it.

    `blank` and `label` (A, W, T + 1) are log-probabilities that the first t frames give exactly the prefix
    and end in a blank or in its last label. Values after a clip's end are never read.
    """

    def __init__(self, log_probs: Tensor, valid: Tensor) -> None:
        """Read `log_probs` (A, T, V) of the CTC head; `valid` (A, T) is False at padding."""
        self.log_p = log_probs.double().clamp(min=_IMPOSSIBLE)
        self.p = self.log_p.exp() * valid[:, :, None]
        self.length = valid.sum(1)
        self.blank = _from_start(self.log_p[:, :, BLANK].cumsum(1))[:, None]
        self.label = torch.full_like(self.blank, -torch.inf)

    def scores(self, prefixes: Tensor) -> Tensor:
        last = prefixes[:, :, -1]
        if prefixes.shape[2] == 1:
            self.total = self._totals(last)
            return self.total
        self._append(last, repeated=last == prefixes[:, :, -2])
        # an impossible prefix stays impossible: -inf minus a finite number
        before = self.total.gather(2, last[:, :, None]).clamp(min=torch.finfo(self.total.dtype).min)
        self.total = self._totals(last)
        return self.total - before

    def reorder(self, clips: Tensor, parents: Tensor) -> None:
        beams = clips[:, None], parents
        self.blank, self.label, self.total = self.blank[beams], self.label[beams], self.total[beams]
        if len(clips) < len(self.length):
            self.log_p, self.p, self.length = self.log_p[clips], self.p[clips], self.length[clips]

    def _totals(self, last: Tensor) -> Tensor:
        """Return (A, W, V): log P_ctc(prefix + v ...), and in column EOS log P_ctc of exactly the prefix.

        The first is a sum over the frame in which v begins, of all paths that give the labels before it.
        """
        either = torch.logaddexp(self.blank, self.label)
        before = torch.arange(either.shape[2] - 1, device=either.device) < self.length[:, None]
        phi = either[:, :, :-1].masked_fill(~before[:, None], -torch.inf)
        highest = phi.amax(2, keepdim=True).clamp(min=torch.finfo(phi.dtype).min)
        # terms that underflow here are smaller than e^-700 times the likeliest path
        totals = highest + torch.log((phi - highest).exp() @ self.p)
        # equal labels in a row need a blank between them
        paths = (self.blank[:, :, :-1] + self._of(last)).masked_fill(~before[:, None], -torch.inf)
        totals.scatter_(2, last[:, :, None], paths.logsumexp(2, keepdim=True))
        end = self.length[:, None, None].expand(*last.shape, 1)
        totals[:, :, EOS] = either.gather(2, end).squeeze(2)
        return totals

    def _append(self, label: Tensor, repeated: Tensor) -> None:
        """Append `label` (A, W) to the prefixes; `repeated` (A, W) tells where it equals the one before.

        r_t = (r_{t-1} + phi_{t-1}) p_t is a sum over the frame in which the label began. With L the running
        sum of log p, log r_t = L_t + log sum_{s <= t} exp(phi_{s-1} - L_{s-1}). This needs one cumulative sum
        and no loop.
        """
        phi = torch.where(repeated[:, :, None], self.blank, torch.logaddexp(self.blank, self.label))
        self.label = _held(phi, _from_start(self._of(label).cumsum(2)))
        silence = _from_start(self.log_p[:, :, BLANK].cumsum(1))[:, None].expand_as(self.label)
        self.blank = _held(self.label, silence)

    def _of(self, labels: Tensor) -> Tensor:
        """Return log p (A, W, T) of `labels` (A, W) in every frame."""
        index = labels[:, :, None].expand(-1, -1, self.log_p.shape[1])
        return self.log_p.transpose(1, 2).gather(1, index)


def _from_start(sums: Tensor) -> Tensor:
    """Return running sums (..., T) with a 0 prepended for the time before the first frame: (..., T + 1)."""
    return torch.cat([torch.zeros_like(sums[..., :1]), sums], -1)


def _held(entering: Tensor, held: Tensor) -> Tensor:
    """Return log sum_{s < t} exp(entering_s + held_t - held_s) for t from 0, all (..., T + 1)."""
    inside = torch.logcumsumexp(entering[..., :-1] - held[..., :-1], -1) + held[..., 1:]
    return torch.cat([torch.full_like(inside[..., :1], -torch.inf), inside], -1)
