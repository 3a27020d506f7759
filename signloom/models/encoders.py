"""The landmark encoders, which turn frames into frame vectors and one pooled vector."""

from typing import Any

import torch
from torch import Tensor, nn

from signloom.models.convolutions import FrameInput, TemporalConvolutions
from signloom.models.layers import EncoderLayer, LearnedPositions, Packing, masked_mean

GRU_WIDTH = 160
GRU_LAYERS = 2
POOL_HEADS = 4
TCN_KERNEL = 5


class TransformerEncoder(nn.Module):
    """A linear layer, learned positions, pre-norm layers, and the mean over the valid frames."""

    def __init__(self, input_dim: int, c: Any) -> None:
        """Take the sizes from `c`, the network's configuration."""
        super().__init__()
        self.frame_dim: int = c.width
        self.input = nn.Linear(input_dim, c.width)
        self.positions = LearnedPositions(c.seq_len, c.width)
        self.dropout = nn.Dropout(c.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(c.width, c.heads, c.feedforward, c.dropout) for _ in range(c.layers)
        )
        self.norm = nn.LayerNorm(c.width)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return frames (B, T, width), their mean (B, width) and the pooling weights (B, T).

        `x` is (B, T, input_dim); `valid` (B, T) is True at the first frames of each clip.
        """
        packing = Packing.of(valid, self, self.frame_dim)
        x = self.dropout(self.positions(self.input(x)))
        x = packing.pack(x) if packing else x
        for layer in self.layers:
            x = layer(x, valid[:, None, None, :], packing)
        x = self.norm(x)
        frames = packing.pad(x) * valid[:, :, None] if packing else x
        weights = valid.to(frames.dtype)
        return frames, masked_mean(frames, valid), weights / weights.sum(1, keepdim=True).clamp(min=1)


class GruAttentionEncoder(nn.Module):
    """LayerNorm, two GELU layers, a bidirectional GRU, and attention pooling that favours motion."""

    def __init__(self, input_dim: int, dropout: float) -> None:
        super().__init__()
        self.frame_dim = 2 * GRU_WIDTH
        self.input = nn.Sequential(
            nn.LayerNorm(input_dim),
            nn.Linear(input_dim, GRU_WIDTH),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(GRU_WIDTH, GRU_WIDTH),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        sizes = [GRU_WIDTH] + [2 * GRU_WIDTH] * (GRU_LAYERS - 1)
        self.forwards = nn.ModuleList(nn.GRU(size, GRU_WIDTH, batch_first=True) for size in sizes)
        self.backwards = nn.ModuleList(nn.GRU(size, GRU_WIDTH, batch_first=True) for size in sizes)
        self.dropout = nn.Dropout(dropout)
        self.pool = AttentionPool(self.frame_dim, POOL_HEADS)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return frames (B, T, 320), the pooled vector (B, 320) and the pooling weights (B, T)."""
        motion = standardised_motion(x, valid)
        turned = reversal(valid)[:, :, None]
        x = self.input(x)
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            # each clip is reversed within its own length, so that padding never reaches the state
            reverse = back(x.gather(1, turned.expand(-1, -1, x.shape[2])))[0]
            x = torch.cat([ahead(x)[0], reverse.gather(1, turned.expand(-1, -1, GRU_WIDTH))], dim=-1)
            x = self.dropout(x)
        pooled, weights = self.pool(x, motion, valid)
        return x, pooled, weights


class TcnEncoder(nn.Module):
    """Convolutions of dilation 1, 2, 4, ...; values are pooled as mean and maximum over the frames."""

    def __init__(self, input_dim: int, c: Any) -> None:
        """Take the sizes from `c`, the network's configuration."""
        super().__init__()
        self.frame_dim: int = c.width
        self.input = FrameInput(input_dim, c.width, c.dropout)
        self.convolutions = TemporalConvolutions(c.width, c.layers, TCN_KERNEL, c.dropout)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return frames (B, T, width), the pooled vector (B, 2 width) and the pooling weights (B, T)."""
        frames = self.convolutions(self.input(x, valid), valid)
        # a large negative number instead of minus infinity: a clip without frames must stay finite
        highest = frames.masked_fill(~valid[:, :, None], -1e4).amax(1)
        pooled = self.dropout(torch.cat([masked_mean(frames, valid), highest], dim=1))
        weights = valid.to(frames.dtype)
        return frames, pooled, weights / weights.sum(1, keepdim=True).clamp(min=1)


class AttentionPool(nn.Module):
    """Weighted means of the frames, one per head, averaged over heads; motion is added to the scores."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, width)
        self.score = nn.Linear(width, heads)

    def forward(self, x: Tensor, motion: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pooled vector (B, width) and the weights (B, T), both averaged over heads.

        `motion` is (B, T).
        """
        scores = self.score(torch.tanh(self.key(x))) + motion[:, :, None]
        weights = scores.float().masked_fill(~valid[:, :, None], -torch.inf).softmax(1).mean(2)
        return torch.einsum("bt,btd->bd", weights.to(x.dtype), x), weights


def standardised_motion(x: Tensor, valid: Tensor) -> Tensor:
    """Return the frame-to-frame motion (B, T) of `x` (B, T, D), standardised over each clip's valid frames.

    Motion is the root mean square change since the previous frame. It is 0 at a clip's first frame.
    """
    change = x - torch.cat([x[:, :1], x[:, :-1]], dim=1)
    motion = (change.square().mean(2) + 1e-12).sqrt().unsqueeze(-1)
    centred = motion - masked_mean(motion, valid)[:, None]
    # a clip of one frame has variance 0; the small term keeps its gradient finite
    variance = masked_mean(centred.square(), valid)[:, None] + 1e-8
    return (centred * variance.rsqrt()).squeeze(-1) * valid


def reversal(valid: Tensor) -> Tensor:
    """Return indices (B, T) that reverse the valid first frames of each clip and leave the rest in place."""
    steps = torch.arange(valid.shape[1], device=valid.device)[None]
    last = valid.sum(1, keepdim=True) - 1
    return torch.where(valid, last - steps, steps)
