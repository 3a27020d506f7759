"""Networks for export: they read clips as the pipeline stores them and do all preparation themselves."""

import copy

import torch
from torch import Tensor, nn

from signloom.features.pose.layout import FEATURE_DIM, FEATURE_PARTS
from signloom.models.encoders import GruAttentionEncoder
from signloom.models.gloss import Hybrid, TcnCtc
from signloom.models.layers import DecoderLayer, z_scores
from signloom.models.sign2text import Sign2Text
from signloom.text.vocabulary import BLANK


class ClipInput(nn.Module):
    """Standardise `sequence` (B, T, D) and `mask` (B, T, 4) clip by clip into rows (B, T, D + 4).

    `mask` is 1 for a part that is present, 0 for a missing one, and -1 in padding frames. Rows that are no
    landmarks have one part.
    """

    mean: Tensor
    std: Tensor
    part: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        part = torch.zeros(len(mean), dtype=torch.long)
        for number, (first, end) in enumerate(part_columns(len(mean)).values()):
            part[first:end] = number
        self.by_part = len(mean) == FEATURE_DIM
        self.register_buffer("part", part)  # (D,) for each feature column, the mask column of its part

    def forward(self, sequence: Tensor, mask: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows `index` (B, T') of each clip, with 0 for missing parts, and their validity."""
        rows = sequence.gather(1, index[:, :, None].expand(-1, -1, sequence.shape[2]))
        bits = mask.gather(1, index[:, :, None].expand(-1, -1, mask.shape[2]))
        absent = bits < 1
        # rows that are no landmarks are one part: it is there if any of its points is
        absent = absent.index_select(2, self.part) if self.by_part else absent.all(2, keepdim=True)
        missing = absent | rows.isnan()
        z = torch.where(missing, 0.0, z_scores(rows, self.mean, self.std))
        return torch.cat([z, (bits > 0).to(z.dtype)], dim=-1), bits[:, :, 0] >= 0


def part_columns(dim: int) -> dict[str, list[int]]:
    """Return first and end column of each part of the body in `dim` features; of given rows, all of them."""
    if dim != FEATURE_DIM:
        return {name: [0, dim] for name in FEATURE_PARTS}
    return {name: [columns.start, columns.stop] for name, columns in FEATURE_PARTS.items()}


def clip_lengths(mask: Tensor) -> Tensor:
    """Return the number of frames (B,) of each clip in `mask` (B, T, 4)."""
    return (mask[:, :, 0] >= 0).sum(1)


def middle(lengths: Tensor, frames: int, longest: int) -> Tensor:
    """Return the rows (B, T') of the middle `longest` frames of each clip, T' at most `longest`."""
    start = (lengths - longest).clamp(min=0) // 2
    rows = torch.arange(frames, device=lengths.device)[:longest]
    return (start[:, None] + rows[None]).clamp(max=frames - 1)


def spread(lengths: Tensor, frames: int, most: int) -> Tensor:
    """Return at most `most` evenly spaced rows (B, T') of each clip, chosen as in `GlossRows.subsample`."""
    rows = torch.arange(frames, device=lengths.device)[:most][None]
    step = (lengths[:, None] - 1).double() / max(most - 1, 1)
    spaced = (rows.double() * step).round().long()
    return torch.where(lengths[:, None] > most, spaced, rows).clamp(max=frames - 1)


class EncoderNetwork(nn.Module):
    """The network from clips to unit embeddings and frame vectors."""

    def __init__(self, model: Sign2Text, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.model, self.prepare = model, ClipInput(mean, std)

    def forward(self, sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return `embedding` (B, E) and `frames` (B, T', width) of the middle `seq_len` frames."""
        index = middle(clip_lengths(mask), sequence.shape[1], self.model.config.seq_len)
        encoded = self.model.encode(*self.prepare(sequence, mask, index))
        return encoded.embedding, encoded.frames


class DecoderNetwork(nn.Module):
    """The decoder of either family, from token prefixes over the frames of one clip to the next token."""

    def __init__(self, model: Sign2Text | Hybrid) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, frames: Tensor) -> Tensor:
        """Return log-probabilities (R, V) after each prefix of `tokens` (R, L), `frames` (1, T, width)."""
        x, memory = self.model.positions(self.model.tokens(tokens)), self.model.memory(frames)
        for layer in self.model.layers:
            assert isinstance(layer, DecoderLayer)
            # computed once for all rows, because they belong to one clip
            keys, values = layer.cross_attention.keys_values(memory)
            across = (tokens.shape[0], -1, -1, -1)
            x, _ = layer(x, (keys.expand(across), values.expand(across)), None)
        return self.model.predict(self.model.norm(x[:, -1])).float().log_softmax(-1)


class GlossNetwork(nn.Module):
    """The network from clips to frame vectors, CTC log-probabilities and the glosses of the best path."""

    def __init__(self, model: Hybrid | TcnCtc, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.model, self.prepare = model, ClipInput(mean, std)

    def forward(self, sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return `frames` (B, T', width), `log_probs` (B, T', V) and `greedy` (B, T').

        `greedy` is a gloss at frames where the best path begins a new one, else -1.
        """
        index = spread(clip_lengths(mask), sequence.shape[1], self.model.config.max_frames)
        x, valid = self.prepare(sequence, mask, index)
        frames, _ = self.model.encode(x, valid.sum(1))
        log_probs = self.model.ctc(frames)
        path = log_probs.argmax(2)
        before = torch.cat([torch.full_like(path[:, :1], BLANK), path[:, :-1]], 1)
        new = valid & (path != BLANK) & (path != before)
        return frames, log_probs, torch.where(new, path, -1)


class OnnxGru(nn.Module):
    """A one-layer GRU as a single ONNX operator, which torch.onnx does not create from nn.GRU."""

    weights: Tensor
    recurrent: Tensor
    bias: Tensor

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        self.hidden = gru.hidden_size
        # ONNX orders the gates update, reset, new; PyTorch orders them reset, update, new
        order = torch.arange(3 * self.hidden).view(3, -1)[[1, 0, 2]].flatten()
        own = {name: values.detach()[order][None] for name, values in gru.named_parameters()}
        self.register_buffer("weights", own["weight_ih_l0"])
        self.register_buffer("recurrent", own["weight_hh_l0"])
        self.register_buffer("bias", torch.cat([own["bias_ih_l0"], own["bias_hh_l0"]], 1))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return states (B, T, H) for `x` (B, T, D); in PyTorch they are 0, only ONNX computes them."""
        states = torch.onnx.ops.symbolic(
            "GRU",
            (x.transpose(0, 1), self.weights, self.recurrent, self.bias),
            {"hidden_size": self.hidden, "linear_before_reset": 1},
            dtype=x.dtype,
            shape=(x.shape[1], 1, x.shape[0], self.hidden),
            version=20,
        )
        return states.squeeze(1).transpose(0, 1), None


def for_onnx(network: EncoderNetwork) -> EncoderNetwork:
    """Return `network`, or a copy that ONNX can express if its encoder is recurrent."""
    if not isinstance(network.model.encoder, GruAttentionEncoder):
        return network
    twin = copy.deepcopy(network)
    encoder = twin.model.encoder
    assert isinstance(encoder, GruAttentionEncoder)
    for grus in (encoder.forwards, encoder.backwards):
        for place, gru in enumerate(grus):
            assert isinstance(gru, nn.GRU)
            grus[place] = OnnxGru(gru)
    return twin
