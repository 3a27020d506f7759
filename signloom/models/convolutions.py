"""Dilated convolutions over the frames of clips, with batch normalisation that padding does not enter."""

import torch
from torch import Tensor, nn


class FrameNorm(nn.BatchNorm1d):
    """Batch normalisation over the frames of all clips of a batch, without their padding."""

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]
        """Return (B, T, width) for `x` (B, T, width); 0 or any value where `valid` (B, T) is False."""
        if not self.training:  # a fixed factor and offset, which a graph can have for any number of frames
            return super().forward(x.transpose(1, 2)).transpose(1, 2)
        y = torch.zeros_like(x)
        y[valid] = super().forward(x[valid]).to(y.dtype)
        return y


class ConvolutionBlock(nn.Module):
    """Dilated convolution, batch normalisation, ReLU, dropout; a residual connection if the widths agree."""

    def __init__(self, input_dim: int, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(input_dim, width, kernel, padding="same", dilation=dilation)
        self.norm, self.activation, self.dropout = FrameNorm(width), nn.ReLU(), nn.Dropout(dropout)
        self.residual = input_dim == width

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return (B, T, width); outside a clip (`valid` (B, T) is False) the convolution reads 0."""
        inside = x.masked_fill(~valid[:, :, None], 0.0)
        y = self.convolution(inside.transpose(1, 2)).transpose(1, 2)
        y = self.dropout(self.activation(self.norm(y, valid)))
        return x + y if self.residual else y  # type: ignore[no-any-return]
