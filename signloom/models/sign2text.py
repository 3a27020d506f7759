"""The network from landmarks to sentences: frame encoder, embedding shared with text, text decoder."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from signloom.models.decoder import AttentionDecoder
from signloom.models.encoders import GruAttentionEncoder, TcnEncoder, TransformerEncoder
from signloom.models.gloss_reader import GlossReader
from signloom.models.layers import LearnedPositions, SinusoidalPositions

FEATURE_DIM = 540
MASK_DIM = 4


@dataclass(frozen=True)
class Sign2TextConfig:
    """Everything that defines the network's shape, as plain values that a checkpoint can hold."""

    vocab_size: int
    pad_id: int
    bos_id: int
    eos_id: int
    text_dim: int
    feature_dim: int = FEATURE_DIM
    encoder: str = "transformer"
    width: int = 512
    layers: int = 6
    heads: int = 8
    feedforward: int = 2048
    decoder_layers: int = 6  # 0: no decoder
    dropout: float = 0.2
    token_dropout: float = 0.0
    glosses: int = 0  # entries of the gloss vocabulary; above 0, the decoder reads glosses alone
    embedding_dim: int = 256
    seq_len: int = 128
    max_tokens: int = 64


class Encoded(NamedTuple):
    """The encoder's output for a batch of clips."""

    frames: Tensor  # (B, T, frame_dim), 0 at padding; with glosses, their probabilities come last
    valid: Tensor  # (B, T) bool
    embedding: Tensor  # (B, embedding_dim), unit rows
    weights: Tensor  # (B, T), each frame's share in the pooled vector, 0 at padding
    glosses: Tensor | None = None  # (B, T, glosses), log-probabilities of CTC


class Sign2Text(AttentionDecoder):
    """The sign2text network; in its standardised inputs, missing values and their mask bits are 0."""

    def __init__(self, config: Sign2TextConfig | dict[str, Any]) -> None:
        super().__init__()
        c = config if isinstance(config, Sign2TextConfig) else Sign2TextConfig(**config)
        self.config = c
        self.encoder: TransformerEncoder | GruAttentionEncoder | TcnEncoder
        if c.encoder == "transformer":
            self.encoder = TransformerEncoder(c.feature_dim + MASK_DIM, c)
            self.embed: nn.Module = nn.Linear(self.encoder.frame_dim, c.embedding_dim)
        elif c.encoder == "gru_attention":
            self.encoder = GruAttentionEncoder(c.feature_dim + MASK_DIM, c.dropout)
            self.embed = nn.Sequential(
                nn.Linear(self.encoder.frame_dim, c.embedding_dim), nn.LayerNorm(c.embedding_dim)
            )
        elif c.encoder == "tcn":
            self.encoder = TcnEncoder(c.feature_dim + MASK_DIM, c)
            self.embed = nn.Linear(2 * self.encoder.frame_dim, c.embedding_dim)
        else:
            raise ValueError(f"unknown encoder {c.encoder!r}; choose transformer, gru_attention or tcn")
        if c.decoder_layers:
            learned = c.encoder == "transformer"
            self.positions = (LearnedPositions if learned else SinusoidalPositions)(c.max_tokens, c.width)
        self.text_embed = nn.Linear(c.text_dim, c.embedding_dim)
        self.frame_dim = self.encoder.frame_dim + c.glosses
        if c.decoder_layers:
            self.add_decoder(c, c.width if c.glosses else self.frame_dim)
        if c.glosses:
            self.reader = GlossReader(c.feature_dim + MASK_DIM, c)

    def encode(self, x: Tensor, valid: Tensor) -> Encoded:
        """Encode clips `x` (B, T, D + 4: standardised features and 4 mask bits), T at most `seq_len`.

        `valid` (B, T) bool is True at each clip's frames, which come first. Padding after them is ignored.
        """
        x = x.masked_fill(~valid[:, :, None], 0.0)
        frames, embedding, weights = self._embed(x, valid)
        if not self.config.glosses:
            return Encoded(frames * valid[:, :, None], valid, embedding, weights)
        glosses = self.reader(x, valid)
        # detached: the decoder's loss would teach the probabilities to name the sentence
        frames = torch.cat([frames, glosses.detach().exp().to(frames.dtype)], dim=-1)
        return Encoded(frames * valid[:, :, None], valid, embedding, weights, glosses)

    def embeddings(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return the unit rows (B, embedding_dim) of `encode` alone."""
        return self._embed(x.masked_fill(~valid[:, :, None], 0.0), valid)[1]

    def _embed(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        frames, pooled, weights = self.encoder(x, valid)
        return frames, F.normalize(self.embed(pooled).float(), dim=-1), weights

    def memory(self, frames: Tensor) -> Tensor:
        """Return what the decoder attends to: the frames (B, T, frame_dim), or what they say of glosses."""
        if not self.config.glosses:
            return frames
        return self.reader.read(frames[..., -self.config.glosses :])

    def spelled(self, shares: Tensor, valid: Tensor) -> Encoded:
        """Return the encoding, for the decoder alone, of a clip whose glosses are known for certain.

        `shares` (B, T, glosses) are 1 for the gloss or blank of each frame.
        """
        frames = F.pad(shares, (self.encoder.frame_dim, 0))
        nothing = shares.new_zeros(len(shares), 0)
        return Encoded(frames * valid[:, :, None], valid, nothing, nothing)

    def project_text(self, frozen: Tensor) -> Tensor:
        """Return unit rows (N, embedding_dim) for sentence embeddings `frozen` (N, text_dim)."""
        return F.normalize(self.text_embed(frozen).float(), dim=-1)

    def drop_tokens(self, x: Tensor) -> Tensor:
        """Hide random tokens from the decoder in training, so that it has to use the frames.

        Word dropout (Bowman et al., Generating Sentences from a Continuous Space, 2016). The first token is
        always kept.
        """
        if not self.training or self.config.token_dropout == 0:
            return x
        kept = torch.rand(x.shape[:2], device=x.device) >= self.config.token_dropout
        kept[:, 0] = True
        return x * kept[:, :, None]

    def next_tokens(self, tokens: Tensor, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """Return logits (N, vocab_size) and targets (N,) for `tokens` (B, L), skipping the first and padding.

        Leaving padding out of the projection saves time when the vocabulary is large.
        """
        targets = tokens[:, 1:]
        real = targets != self.config.pad_id
        hidden = self.hidden_at(real, tokens[:, :-1], encoded.frames, encoded.valid)
        return self.output(hidden), targets[real]
