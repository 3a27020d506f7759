"""The CTC losses of label sequences in a gloss vocabulary."""

import torch
import torch.nn.functional as F
from torch import Tensor

from signloom.text.vocabulary import BLANK, UNK

_FIRST = 5  # gloss


def ctc_losses(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Return the CTC loss (N,) of each of `targets` (N, L) in `log_probs` (N, T, V), not divided by anything.

    Each has `target_lengths` (N,) labels and `lengths` (N,) frames. The loss of labels that do not fit their
    frames is infinite.
    """
    # keep only what CTC can emit (<unk>, <blank>, glosses): the other columns are -inf with a NaN gradient
    emitted = torch.cat([log_probs[..., UNK : BLANK + 1], log_probs[..., _FIRST:]], -1)
    places = torch.where(targets == UNK, 0, targets - (_FIRST - 2)).clamp(min=0)
    # on the CPU, because the GPU kernel adds gradients in no fixed order
    return F.ctc_loss(
        emitted.transpose(0, 1).cpu(),
        places.cpu(),
        lengths.cpu(),
        target_lengths.cpu(),
        blank=1,
        reduction="none",
    ).to(log_probs.device)
