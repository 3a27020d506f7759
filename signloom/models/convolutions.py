"""Dilated temporal convolutions that see only the frames of a clip."""

from torch import Tensor, nn


class FrameInput(nn.Module):
    """A linear layer to the network's width, LayerNorm and dropout; values at padding are ignored."""

    def __init__(self, input_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(input_dim, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return (B, T, width) for `x` (B, T, input_dim); `valid` (B, T) is False at padding."""
        x = x.masked_fill(~valid[:, :, None], 0.0)
        return self.dropout(self.norm(self.linear(x)))  # type: ignore[no-any-return]


class TemporalBlock(nn.Module):
    """LayerNorm, dilated convolution, GELU and dropout, with a residual connection."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(width, width, kernel, padding="same", dilation=dilation)
        self.activation, self.dropout = nn.GELU(), nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return (B, T, width); outside a clip (`valid` (B, T) is False) the convolution reads 0."""
        inside = self.norm(x) * valid[:, :, None]
        y = self.convolution(inside.transpose(1, 2)).transpose(1, 2)
        return x + self.dropout(self.activation(y))  # type: ignore[no-any-return]


class TemporalConvolutions(nn.Module):
    """Blocks with dilations 1, 2, 4, ... (van den Oord et al. 2016, section 2.1), then LayerNorm."""

    def __init__(self, width: int, layers: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(TemporalBlock(width, kernel, 2**i, dropout) for i in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return (B, T, width) for `x` (B, T, width)."""
        for block in self.blocks:
            x = block(x, valid)
        return self.norm(x)  # type: ignore[no-any-return]
