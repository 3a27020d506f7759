"""The losses of the gloss family, computed for all label sequences of a batch at once."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from signloom.models.gloss import Hybrid, TcnCtc
from signloom.params.gloss import HybridParams, TcnParams
from signloom.precision import autocast
from signloom.text.vocabulary import BLANK, PAD, UNK
from signloom.training.ctc import ctc_losses
from signloom.training.glosses.data import Batch

_FIRST = 5  # gloss


class LossSums(NamedTuple):
    """Sums over a batch, each a scalar, and the weights to divide them by for a mean."""

    ctc: Tensor  # over clips, each loss divided by its number of glosses
    ctc_weight: Tensor
    ce: Tensor  # over tokens
    ce_weight: Tensor
    blanks: Tensor  # valid frames on which CTC predicts <blank>
    frames: Tensor  # valid frames

    def means(self) -> tuple[Tensor, Tensor]:
        """Return mean CTC loss and mean cross-entropy; 0 if there is nothing to average."""
        return self.ctc / self.ctc_weight.clamp(min=1e-6), self.ce / self.ce_weight.clamp(min=1e-6)


class Passed(NamedTuple):
    """A network's outputs and losses for a batch."""

    memory: Tensor  # (B, T, width)
    valid: Tensor  # (B, T)
    log_probs: Tensor  # (B, T, V) of CTC
    sums: LossSums


@dataclass(frozen=True)
class Loss:
    """The loss: `ctc_weight` times CTC, and cross-entropy for the rest; `alone` means no decoder."""

    ctc_weight: float
    smoothing: float
    alone: bool
    precision: str
    device: torch.device

    @classmethod
    def of(cls, shape: HybridParams | TcnParams, precision: str) -> Self:
        """Return the loss of a network of this shape, on the accelerator if there is one."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if isinstance(shape, TcnParams):
            return cls(1.0, 0.0, True, precision, device)
        return cls(shape.ctc_weight, shape.label_smoothing, False, precision, device)

    def __call__(self, model: Hybrid | TcnCtc, batch: Batch) -> Passed:
        """Pass `batch`, which is on the device, through `model`; without a decoder, cross-entropy is 0."""
        with autocast(self.device, self.precision):
            memory, valid = model.encode(batch.features, batch.lengths)
            log_probs = model.ctc(memory)
            ctc, ctc_weight = ctc_sum(log_probs, batch)
            ce = ce_weight = torch.zeros_like(ctc)
            if isinstance(model, Hybrid):
                ce, ce_weight = token_sum(model, batch, memory, valid, self.smoothing)
        blanks = (log_probs.detach().argmax(-1) == BLANK) & valid
        sums = LossSums(ctc, ctc_weight, ce, ce_weight, blanks.sum(), valid.sum())
        return Passed(memory, valid, log_probs, sums)

    def total(self, sums: LossSums) -> Tensor:
        """Return the weighted mean of both losses."""
        ctc, ce = sums.means()
        return self.ctc_weight * ctc + (1 - self.ctc_weight) * ce


def ctc_sum(log_probs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of CTC losses, each divided by its number of glosses, and of the weights.

    `log_probs` is (B, T, V). Labels that do not fit their frames are left out. Any other infinite loss stays
    infinite, so that training stops with an error.
    """
    used = batch.aligned.nonzero().flatten()
    if not len(used):
        return log_probs.new_zeros(()), log_probs.new_zeros(())
    rows = batch.rows[used]
    losses = ctc_losses(
        log_probs.index_select(0, rows),
        batch.lengths[rows],
        batch.ctc_targets[used],
        batch.target_lengths[used],
    )
    weights = batch.weights[used]
    return (weights * losses / batch.target_lengths[used]).sum(), weights.sum()


def token_sum(
    model: Hybrid, batch: Batch, memory: Tensor, valid: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of the decoder's cross-entropies, without padding, and of the weights.

    Label smoothing covers only the tokens that the decoder can emit: <unk>, <eos> and glosses.
    """
    if len(batch.rows) > len(memory):  # a mixed input is repeated for its second label sequence
        memory, valid = memory.index_select(0, batch.rows), valid.index_select(0, batch.rows)
    real = batch.decoder_target != PAD
    logits = model.output(model.hidden_at(real, batch.decoder_input, memory, valid)).float()
    emitted = torch.cat([logits[:, UNK : UNK + 1], logits[:, _FIRST - 1 :]], -1)
    targets = (batch.decoder_target[real] - (_FIRST - 2)).clamp(min=0)
    losses = F.cross_entropy(emitted, targets, label_smoothing=smoothing, reduction="none")
    weights = batch.weights[:, None].expand_as(real)[real]
    return (weights * losses).sum(), weights.sum()
