"""Pre-norm attention layers on scaled dot-product attention, with cached keys and values for decoding."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from signloom.features.stats import STILL

KeysValues = tuple[Tensor, Tensor]
_PACKED_WIDTH = 256  # narrower networks, such as the demo's, keep the sums that their results were made with


class Packing:
    """Where the valid rows of a padded block are, so that layers compute nothing for the padding.

    Only attention needs the block; a linear layer, a norm or dropout takes the rows one by one.
    """

    def __init__(self, valid: Tensor) -> None:
        """Take `valid` (B, T), True at the rows to keep."""
        self.shape, flat = valid.shape, valid.flatten()
        self.places = flat.nonzero().flatten()
        # padding gets the last row before it, which attention never reads
        self.sources = (flat.cumsum(0) - 1).clamp(min=0)
        self.valid = flat[:, None]

    @classmethod
    def of(cls, valid: Tensor, module: nn.Module, width: int) -> "Packing | None":
        """Return the packing of `valid` where it saves time, else None.

        That is in the training of a wide network on a processor. A GPU computes the padding at once, and
        every further operation costs it a start.
        """
        wanted = module.training and width >= _PACKED_WIDTH and valid.device.type == "cpu"
        return cls(valid) if wanted else None

    def pack(self, block: Tensor) -> Tensor:
        """Return the valid rows (1, N, D) of a block (B, T, D)."""
        # padding has a gradient of 0, not that of the row which stands for it
        flat = block.flatten(0, 1) * self.valid
        return _Moved.apply(flat, self.places, self.sources)[None]  # type: ignore[no-untyped-call, no-any-return]

    def pad(self, rows: Tensor) -> Tensor:
        """Return the block (B, T, D) of the valid rows (1, N, D); padding holds other rows.

        No gradient comes back from padding, so attention must not read it.
        """
        block = _Moved.apply(rows[0], self.sources, self.places)  # type: ignore[no-untyped-call]
        return block.unflatten(0, self.shape)  # type: ignore[no-any-return]


class _Moved(torch.autograd.Function):
    """Rows from the places `taken`; their gradients come from `back`, where indexing would add one by one."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, taken: Tensor, back: Tensor) -> Tensor:
        ctx.back = back
        return rows.index_select(0, taken)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.index_select(0, ctx.back), None, None


class Attention(nn.Module):
    """Multi-head attention from vectors of `width` values to a context of `context_width` values.

    Keys and values are computed separately from queries, so that a decoder can keep them between steps.
    """

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(context_width or width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, context: Tensor, packing: Packing | None = None) -> KeysValues:
        """Return keys and values (B, heads, T, width / heads) of `context` (B, T, context_width).

        With a `packing`, `context` has the valid rows alone.
        """
        both = self.key_value(context)
        keys, values = (packing.pad(both) if packing else both).chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def forward(
        self,
        x: Tensor,
        kv: KeysValues,
        mask: Tensor | None = None,
        causal: bool = False,
        packing: Packing | None = None,
    ) -> Tensor:
        """Return (B, L, width) for queries from `x` (B, L, width).

        `mask` broadcasts to (B, heads, L, T) and is True at positions to attend to. `causal` hides later
        positions instead and needs L = T. With a `packing`, `x` and the result have the valid rows alone.
        """
        query = self.query(x)
        query = self._split(packing.pad(query) if packing else query)
        mixed = F.scaled_dot_product_attention(query, *kv, attn_mask=mask, is_causal=causal)
        mixed = mixed.transpose(1, 2).flatten(2)
        return self.out(packing.pack(mixed) if packing else mixed)  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Sequential):
    """A linear layer, GELU, dropout and a second linear layer."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward, with residual connections."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.feedforward = FeedForward(width, feedforward, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, packing: Packing | None = None) -> Tensor:
        """Return (B, T, width); `mask` (B, 1, 1, T) is True at valid frames.

        With a `packing`, `x` and the result have the valid frames alone.
        """
        h = self.norm1(x)
        kv = self.attention.keys_values(h, packing)
        x = x + self.dropout(self.attention(h, kv, mask, packing=packing))
        return x + self.dropout(self.feedforward(self.norm2(x)))  # type: ignore[no-any-return]


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, cross-attention and feed-forward, with residual connections."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float, context_width: int) -> None:
        super().__init__()
        self.self_attention = Attention(width, heads)
        self.cross_attention = Attention(width, heads, context_width)
        self.feedforward = FeedForward(width, feedforward, dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        cross: KeysValues,
        mask: Tensor,
        past: KeysValues | None = None,
        packing: Packing | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """Return (B, L, width) and this layer's keys and values so far.

        `cross` holds the keys and values of the frames, and `mask` (B, 1, 1, T) their validity. Without
        `past`, `x` is a whole prefix. With it, `x` is the one token that follows. With a `packing`, `x` and
        the result have the tokens alone that come before padding.
        """
        h = self.norm1(x)
        kv = self.self_attention.keys_values(h, packing)
        if past is not None:
            kv = torch.cat([past[0], kv[0]], dim=2), torch.cat([past[1], kv[1]], dim=2)
        x = x + self.dropout(self.self_attention(h, kv, causal=past is None, packing=packing))
        x = x + self.dropout(self.cross_attention(self.norm2(x), cross, mask, packing=packing))
        return x + self.dropout(self.feedforward(self.norm3(x))), kv


class LearnedPositions(nn.Module):
    """A trained vector for each of `length` positions."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(length, width) * 0.02)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add the positions from `start` on to `x` (B, L, width)."""
        return x + self.table[start : start + x.shape[1]]


class SinusoidalPositions(nn.Module):
    """Sines and cosines of wavelengths from 2 pi to 10000 x 2 pi (Vaswani et al. 2017, section 3.5)."""

    table: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        angles = torch.arange(length)[:, None] * rates
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
        self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add the positions from `start` on to `x` (B, L, width)."""
        return x + self.table[start : start + x.shape[1]]


def masked_mean(x: Tensor, valid: Tensor) -> Tensor:
    """Return the mean (B, D) of `x` (B, T, D) over the frames where `valid` (B, T) is True."""
    weights = valid.to(x.dtype).unsqueeze(-1)
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)


def standardise(features: Tensor, mask: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (..., D + 4): standardised features (..., D), NaN replaced by 0, then mask bits (..., 4)."""
    z = torch.nan_to_num(z_scores(features, mean, std), nan=0.0)
    return torch.cat([z, mask.to(z.dtype)], dim=-1)


def z_scores(features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return standardised features (..., D), 0 in a column that had no variance in training."""
    return torch.where(std > STILL, (features - mean) / std, 0.0)


def valid_frames(lengths: Tensor, longest: int) -> Tensor:
    """Return a (B, longest) bool mask that is True at the first `lengths` (B,) frames of each row."""
    return torch.arange(longest, device=lengths.device)[None] < lengths[:, None]
