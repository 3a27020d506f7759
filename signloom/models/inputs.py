"""Turn stored features into the tensors that the networks read."""

from __future__ import annotations

import torch
from torch import Tensor


def standardise(features: Tensor, mask: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (..., 544): standardised features (..., 540), NaN replaced by 0, then mask bits (..., 4)."""
    z = torch.nan_to_num((features - mean) / std, nan=0.0)
    return torch.cat([z, mask.to(z.dtype)], dim=-1)


def valid_frames(lengths: Tensor, longest: int) -> Tensor:
    """Return a (B, longest) bool mask that is True at the first `lengths` (B,) frames of each row."""
    return torch.arange(longest, device=lengths.device)[None] < lengths[:, None]
