"""Networks from features to glosses: an encoder with a CTC head (TCN), or also with a decoder (hybrid)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from signloom.models.convolutions import FrameInput, TemporalConvolutions
from signloom.models.decoder import AttentionDecoder
from signloom.models.layers import EncoderLayer, Packing, SinusoidalPositions, valid_frames
from signloom.text.vocabulary import BLANK, EOS, PAD, SOS

# both heads may emit glosses and <unk>; CTC may also emit <blank>, and the decoder <eos>
CTC_NEVER, ATTENTION_NEVER = (PAD, SOS, EOS), (PAD, BLANK, SOS)


@dataclass(frozen=True)
class GlossConfig:
    """Everything that defines the network's shape, as plain values that a checkpoint can hold."""

    network: str  # hybrid or tcn_ctc
    input_dim: int
    vocab_size: int
    width: int = 512
    layers: int = 6
    dropout: float = 0.1
    max_frames: int = 150
    heads: int = 8  # this and the next three: hybrid only
    feedforward: int = 2048
    decoder_layers: int = 3
    max_tokens: int = 64  # start and end included
    kernel: int = 3  # tcn_ctc only


class CtcHead(nn.Module):
    """A linear layer to the vocabulary; `<pad>`, `<sos>` and `<eos>` have probability 0."""

    never: Tensor

    def __init__(self, width: int, vocab_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, vocab_size)
        self.register_buffer("never", torch.tensor(CTC_NEVER), persistent=False)

    def forward(self, memory: Tensor) -> Tensor:
        """Return float32 log-probabilities (B, T, V) of `memory` (B, T, width)."""
        logits = self.linear(memory).float()
        return logits.index_fill(-1, self.never, -torch.inf).log_softmax(-1)  # type: ignore[no-any-return]


class Hybrid(AttentionDecoder):
    """Transformer encoder, CTC head, attention decoder (Watanabe et al. 2017, section II).

    The decoder never emits `<pad>`, `<blank>` or `<sos>`, because their logits are minus infinity.
    """

    never: Tensor

    def __init__(self, config: GlossConfig) -> None:
        super().__init__()
        c = self.config = config
        self.input = FrameInput(c.input_dim, c.width, c.dropout)
        self.frame_positions = SinusoidalPositions(c.max_frames, c.width)
        self.encoder = nn.ModuleList(
            EncoderLayer(c.width, c.heads, c.feedforward, c.dropout) for _ in range(c.layers)
        )
        self.encoder_norm = nn.LayerNorm(c.width)
        self.ctc = CtcHead(c.width, c.vocab_size)
        self.positions = SinusoidalPositions(c.max_tokens, c.width)
        self.add_decoder(c, c.width)
        self.register_buffer("never", torch.tensor(ATTENTION_NEVER), persistent=False)

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return memory (B, T, width), 0 at padding, and its validity (B, T) bool.

        `x` is (B, T, input_dim) with T at most `max_frames`. Each clip has `lengths` (B,) rows. Rows after
        them are padding and are ignored.
        """
        valid = valid_frames(lengths, x.shape[1])
        packing = Packing.of(valid, self, self.config.width)
        h = self.frame_positions(self.input(x, valid))
        h = packing.pack(h) if packing else h
        for layer in self.encoder:
            h = layer(h, valid[:, None, None, :], packing)
        h = self.encoder_norm(h)
        return (packing.pad(h) if packing else h) * valid[:, :, None], valid

    def predict(self, hidden: Tensor) -> Tensor:
        """Return logits (..., V) of `hidden` (..., width)."""
        return self.output(hidden).index_fill(-1, self.never, -torch.inf)  # type: ignore[no-any-return]


class TcnCtc(nn.Module):
    """The baseline: dilated convolutions with a CTC head and no decoder."""

    def __init__(self, config: GlossConfig) -> None:
        super().__init__()
        c = self.config = config
        self.input = FrameInput(c.input_dim, c.width, c.dropout)
        self.encoder = TemporalConvolutions(c.width, c.layers, c.kernel, c.dropout)
        self.ctc = CtcHead(c.width, c.vocab_size)

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return memory (B, T, width) and its validity as `Hybrid.encode` does; T has no limit."""
        valid = valid_frames(lengths, x.shape[1])
        return self.encoder(self.input(x, valid), valid) * valid[:, :, None], valid


def build(config: GlossConfig | dict[str, Any]) -> Hybrid | TcnCtc:
    """Return a network with random weights from `config` or from a checkpoint's `model_config`."""
    c = config if isinstance(config, GlossConfig) else GlossConfig(**config)
    networks: dict[str, type[Hybrid | TcnCtc]] = {"hybrid": Hybrid, "tcn_ctc": TcnCtc}
    if c.network not in networks:
        raise ValueError(f"unknown network {c.network!r}; choose one of {sorted(networks)}")
    return networks[c.network](c)
