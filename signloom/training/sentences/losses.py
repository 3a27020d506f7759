"""The losses of the sign2text family."""

import torch
import torch.nn.functional as F
from torch import Tensor

# from the range 0.05 to 0.1 of published contrastive losses; lambda_clip and lambda_supcon weigh the result
_CLIP_TEMPERATURE, _SUPCON_TEMPERATURE, _CLASS_TEMPERATURE = 0.05, 0.07, 0.1


def token_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the mean label-smoothed cross-entropy of `logits` (N, V) and `targets` (N,), padding removed."""
    return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)


def contrastive_loss(
    clips: Tensor, texts: Tensor, labels: Tensor, temperature: float = _CLIP_TEMPERATURE
) -> Tensor:
    """Return the symmetric contrastive loss of unit rows `clips` and `texts` (N, D), paired by row.

    Rows with equal `labels` (N,) are all positives of each other, so that two clips of a sentence are not
    pushed apart. The loss of a row is minus the mean of its positives' log-probabilities.
    """
    logits = clips.float() @ texts.float().T / temperature
    positive = labels[:, None] == labels[None, :]
    return (_row_losses(logits, positive).mean() + _row_losses(logits.T, positive).mean()) / 2


def class_loss(clips: Tensor, texts: Tensor, own: Tensor, smoothing: float) -> Tensor:
    """Return the mean label-smoothed cross-entropy of unit rows `clips` (N, D) over all `texts` (C, D).

    `own` (N,) is the row of each clip's text. The logits are cosines over a temperature (Wang et al. 2017,
    NormFace, section 3.3), so that the classifier's weights are the embeddings of the texts.
    """
    logits = clips.float() @ texts.float().T / _CLASS_TEMPERATURE
    return F.cross_entropy(logits, own, label_smoothing=smoothing)


def supervised_contrastive_loss(
    embeddings: Tensor, labels: Tensor, temperature: float = _SUPCON_TEMPERATURE
) -> Tensor:
    """Return the supervised contrastive loss of unit rows `embeddings` (N, D), all views stacked.

    All other rows with the same label are positives, and all other rows are in the denominator (Khosla et al.
    2020, equation 2). Rows without a positive are left out. The loss is 0 if no row has one.
    """
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = embeddings.float() @ embeddings.float().T / temperature
    positive = (labels[:, None] == labels[None, :]) & ~own
    losses = _row_losses(logits.masked_fill(own, -torch.inf), positive)
    anchors = positive.any(1)
    return (losses * anchors).sum() / anchors.sum().clamp(min=1)


def _row_losses(logits: Tensor, positive: Tensor) -> Tensor:
    """Return (N,): minus the mean log-probability of each row's positives, 0 for a row without one."""
    chosen = logits.log_softmax(1).masked_fill(~positive, 0.0)
    return -chosen.sum(1) / positive.sum(1).clamp(min=1)
