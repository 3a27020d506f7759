"""The CTC losses of label sequences in a gloss vocabulary."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from signloom.models.layers import valid_frames
from signloom.text.vocabulary import BLANK, UNK

_FIRST = 5  # gloss
_SMALL = 500  # vocabulary: in a larger one, most columns belong to no clip of the batch


def ctc_losses(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Return the CTC loss (N,) of each of `targets` (N, L) in `log_probs` (N, T, V), not divided by anything.

    Each has `target_lengths` (N,) labels and `lengths` (N,) frames. The loss of labels that do not fit their
    frames is infinite.
    """
    if log_probs.is_cuda or log_probs.shape[-1] > _SMALL:
        return _of_own_labels(log_probs, lengths, targets, target_lengths)
    # keep only what CTC can emit (<unk>, <blank>, glosses): the other columns are -inf with a NaN gradient
    emitted = torch.cat([log_probs[..., UNK : BLANK + 1], log_probs[..., _FIRST:]], -1)
    places = torch.where(targets == UNK, 0, targets - (_FIRST - 2)).clamp(min=0)
    return F.ctc_loss(
        emitted.transpose(0, 1), places, lengths, target_lengths, blank=1, reduction="none"
    )  # fmt: skip


def _of_own_labels(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Return `ctc_losses` from the columns of <blank> and of each clip's own labels alone.

    A vocabulary is large and a line is short, so this is less work. The losses are computed on the processor,
    because the GPU's kernel adds gradients in no fixed order, and little has to be sent there.
    """
    places = torch.arange(targets.shape[1], device=targets.device)
    written = places < target_lengths[:, None]
    columns = F.pad(torch.where(written, targets, BLANK), (1, 0), value=BLANK)
    own = log_probs.gather(2, columns[:, None].expand(-1, log_probs.shape[1], -1))
    # a label that occurs twice must have one number
    first = torch.where(targets[:, :, None] == targets[:, None], places, len(places)).amin(-1) + 1
    losses = F.ctc_loss(
        own.transpose(0, 1).cpu(), first.cpu(), lengths.cpu(), target_lengths.cpu(), reduction="none"
    ).to(log_probs.device)
    # PyTorch's gradient has a term exp(log_probs), which adds up to nothing over a whole vocabulary only
    shares = (own.exp() * valid_frames(lengths, own.shape[1])[:, :, None]).sum((1, 2))
    return losses - (shares - shares.detach())


def rows_needed(ids: tuple[int, ...]) -> int:
    """Return how many frames CTC needs for `ids`: one per label, and a blank between equal neighbours.

    Graves et al., "Connectionist Temporal Classification" (2006), section 3.1.
    """
    return len(ids) + sum(a == b for a, b in pairwise(ids))
