"""A causal Transformer decoder over encoded frames, for both model families; also runs token by token."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from signloom.models.layers import DecoderLayer, KeysValues, Packing


class DecoderCache(NamedTuple):
    """Keys and values of every decoder layer, each (rows, heads, length, width / heads)."""

    cross: list[KeysValues]
    past: list[KeysValues]  # empty before the first step
    mask: Tensor  # (rows, 1, 1, T) bool


class AttentionDecoder(nn.Module):
    """The decoder half of a network; follows `signloom.decoding.attention.StepDecoder`.

    A subclass sets `positions` and then calls `add_decoder`. It may override `drop_tokens` to hide inputs,
    `memory` to hide a part of the frames, and `predict` to forbid outputs.
    """

    positions: nn.Module
    tokens: nn.Embedding
    dropout: nn.Dropout
    layers: nn.ModuleList
    norm: nn.LayerNorm
    output: nn.Linear

    def add_decoder(self, c: Any, frame_dim: int) -> None:
        """Add token embeddings, layers that attend to a memory of `frame_dim` values, and the projection.

        `c` is the network's configuration.
        """
        self.tokens = nn.Embedding(c.vocab_size, c.width)
        nn.init.normal_(self.tokens.weight, std=c.width**-0.5)
        self.dropout = nn.Dropout(c.dropout)
        self.layers = nn.ModuleList(
            DecoderLayer(c.width, c.heads, c.feedforward, c.dropout, frame_dim)
            for _ in range(c.decoder_layers)
        )
        self.norm = nn.LayerNorm(c.width)
        self.output = nn.Linear(c.width, c.vocab_size)

    def drop_tokens(self, x: Tensor) -> Tensor:
        """Return the token embeddings (B, L, width) that the decoder may see; by default all of `x`."""
        return x

    def memory(self, frames: Tensor) -> Tensor:
        """Return what the layers attend to (B, T, frame_dim) in the encoded `frames`: by default, all."""
        return frames

    def predict(self, hidden: Tensor) -> Tensor:
        """Return logits (..., vocab_size) of `hidden` (..., width)."""
        return self.output(hidden)  # type: ignore[no-any-return]

    def decode_hidden(self, tokens: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        """Return the last hidden vectors (B, L, width) for `tokens` (B, L).

        Padding needs no mask here, because it follows the last real token and attention is causal.
        """
        return self._hidden(tokens, frames, valid)

    def hidden_at(self, real: Tensor, tokens: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        """Return the last hidden vectors (N, width) for `tokens` (B, L) where `real` (B, L) is True.

        `real` is True at the first tokens of each row.
        """
        packing = Packing.of(real, self, self.tokens.embedding_dim)
        hidden = self._hidden(tokens, frames, valid, packing)
        return hidden[0] if packing else hidden[real]

    def _hidden(
        self, tokens: Tensor, frames: Tensor, valid: Tensor, packing: Packing | None = None
    ) -> Tensor:
        x = self.dropout(self.positions(self.drop_tokens(self.tokens(tokens))))
        mask, memory, kept = valid[:, None, None, :], self.memory(frames), None
        if packing:
            kept = Packing(valid)
            x, memory = packing.pack(x), kept.pack(memory)
        for layer in self._decoder_layers():
            x, _ = layer(x, layer.cross_attention.keys_values(memory, kept), mask, packing=packing)
        return self.norm(x)  # type: ignore[no-any-return]

    def decode(self, tokens: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
        """Return logits (B, L, vocab_size) for the token after each prefix of `tokens` (B, L)."""
        return self.predict(self.decode_hidden(tokens, frames, valid))

    def start(self, frames: Tensor, valid: Tensor) -> DecoderCache:
        """Return a cache for decoding token by token, with the keys and values of `frames` (B, T, D)."""
        memory = self.memory(frames)
        cross = [layer.cross_attention.keys_values(memory) for layer in self._decoder_layers()]
        return DecoderCache(cross, [], valid[:, None, None, :])

    def step(self, tokens: Tensor, cache: DecoderCache) -> tuple[Tensor, DecoderCache]:
        """Feed `tokens` (rows,); return logits (rows, vocab_size) for the next token and the new cache."""
        done = cache.past[0][0].shape[2] if cache.past else 0
        x = self.dropout(self.positions(self.tokens(tokens[:, None]), done))
        past = []
        for i, layer in enumerate(self._decoder_layers()):
            x, kv = layer(x, cache.cross[i], cache.mask, cache.past[i] if cache.past else None)
            past.append(kv)
        return self.predict(self.norm(x[:, 0])), DecoderCache(cache.cross, past, cache.mask)

    @staticmethod
    def reorder(cache: DecoderCache, index: Tensor, cross: bool = True) -> DecoderCache:
        """Return the cache of the rows `index`; rows may be left out or repeated.

        `cross=False` leaves the frames' keys and values as they are. Use it when beams only change places
        within their clip.
        """
        past = [(k.index_select(0, index), v.index_select(0, index)) for k, v in cache.past]
        if not cross:
            return DecoderCache(cache.cross, past, cache.mask)
        frames = [(k.index_select(0, index), v.index_select(0, index)) for k, v in cache.cross]
        return DecoderCache(frames, past, cache.mask.index_select(0, index))

    def _decoder_layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]
