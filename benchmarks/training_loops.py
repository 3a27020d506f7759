"""The training loops of the design documents, as plainly as PyTorch's own layers allow.

They are the reference of `benchmarks/training.py`. Weights are copies of a Signloom network's, so that losses
can be compared. Every clip is padded to the longest length allowed and every sentence to the most tokens. The
frozen sentence encoder runs at every step, and every position is projected to the vocabulary.
"""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DistilBertModel

from signloom.models.gloss import Hybrid
from signloom.models.layers import Attention, DecoderLayer, EncoderLayer, standardise, valid_frames
from signloom.models.sign2text import Sign2Text
from signloom.text.vocabulary import BLANK, PAD, UNK
from signloom.training.glosses.data import Batch as GlossBatch
from signloom.training.sentences.data import Batch as SentenceBatch
from signloom.training.sentences.losses import contrastive_loss, supervised_contrastive_loss

_SMOOTHING, _SUPCON = 0.1, 0.5
_FIRST = 5  # gloss


class PlainSentences(nn.Module):
    """Landmarks to sentences."""

    def __init__(self, ours: Sign2Text, bert: DistilBertModel, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        c = self.c = ours.config
        taken = ("input", "positions", "dropout", "norm")
        self.encoder_input, self.encoder_positions, self.encoder_dropout, self.encoder_norm = (
            copy.deepcopy(getattr(ours.encoder, name)) for name in taken
        )
        self.encoder = _encoder(ours.encoder.layers, c)
        self.embed, self.text_embed = copy.deepcopy(ours.embed), copy.deepcopy(ours.text_embed)
        self.decoder = _Decoder(ours)
        self.bert, self.mean, self.std = bert, mean, std

    def encode(self, features: Tensor, mask: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return frames (B, seq_len, width), their padding, and unit embeddings (B, embedding_dim)."""
        short = self.c.seq_len - features.shape[1]
        x = standardise(F.pad(features, (0, 0, 0, short)), F.pad(mask, (0, 0, 0, short)), self.mean, self.std)
        valid = valid_frames(lengths, self.c.seq_len)
        h = self.encoder_dropout(self.encoder_positions(self.encoder_input(x)))
        for layer in self.encoder:
            h = layer(h, src_key_padding_mask=~valid)
        frames = self.encoder_norm(h)
        shares = valid[:, :, None] / lengths[:, None, None]
        return frames, ~valid, F.normalize(self.embed((frames * shares).sum(1)).float(), dim=-1)

    def forward(self, batch: SentenceBatch) -> Tensor:
        """Return the loss of a batch."""
        tokens = F.pad(batch.tokens, (0, self.c.max_tokens - batch.tokens.shape[1]), value=self.c.pad_id)
        with torch.no_grad():
            said = self.bert(tokens, attention_mask=tokens != self.c.pad_id).last_hidden_state[:, 0]
        text = F.normalize(self.text_embed(said).float(), dim=-1)
        (frames, padding, clips), *halves = (self.encode(*view) for view in batch.views)
        logits = self.decoder(tokens[:, :-1], frames, padding).float()
        loss = F.cross_entropy(
            logits.flatten(0, 1),
            tokens[:, 1:].flatten(),
            ignore_index=self.c.pad_id,
            label_smoothing=_SMOOTHING,
        )
        views = torch.cat([half[2] for half in halves])
        supcon = supervised_contrastive_loss(views, batch.sentences.repeat(len(halves)))
        return loss + contrastive_loss(clips, text, batch.sentences) + _SUPCON * supcon


class PlainHybrid(nn.Module):
    """Features to glosses: CTC beside attention."""

    def __init__(self, ours: Hybrid, ctc_weight: float) -> None:
        super().__init__()
        c = self.c = ours.config
        self.input, self.frame_positions, self.encoder_norm, self.ctc = (
            copy.deepcopy(part) for part in (ours.input, ours.frame_positions, ours.encoder_norm, ours.ctc)
        )
        self.encoder = _encoder(ours.encoder, c)
        self.decoder = _Decoder(ours)
        self.ctc_weight = ctc_weight

    def forward(self, batch: GlossBatch) -> Tensor:
        """Return the loss of a batch."""
        longest = self.c.max_frames
        valid = valid_frames(batch.lengths, longest)
        x = F.pad(batch.features, (0, 0, 0, longest - batch.features.shape[1]))
        h = self.frame_positions(self.input(x, valid))
        for layer in self.encoder:
            h = layer(h, src_key_padding_mask=~valid)
        memory = self.encoder_norm(h)
        log_probs = self.ctc(memory)
        kept = torch.cat([log_probs[..., UNK : BLANK + 1], log_probs[..., _FIRST:]], -1)
        places = (batch.ctc_targets - (_FIRST - 2)).clamp(min=0)
        ctc = F.ctc_loss(
            kept.transpose(0, 1), places, batch.lengths, batch.target_lengths, blank=1, reduction="none"
        )
        logits = self.decoder(batch.decoder_input, memory, ~valid).float()
        emitted = torch.cat([logits[..., UNK : UNK + 1], logits[..., _FIRST - 1 :]], -1)
        targets = torch.where(batch.decoder_target == PAD, -100, batch.decoder_target - (_FIRST - 2))
        ce = F.cross_entropy(emitted.flatten(0, 1), targets.flatten(), label_smoothing=_SMOOTHING)
        return self.ctc_weight * (ctc / batch.target_lengths).mean() + (1 - self.ctc_weight) * ce


class _Decoder(nn.Module):
    """PyTorch's decoder layers between the copied embeddings and projection."""

    def __init__(self, ours: Sign2Text | Hybrid) -> None:
        super().__init__()
        self.tokens, self.positions, self.dropout, self.norm, self.output = (
            copy.deepcopy(getattr(ours, name))
            for name in ("tokens", "positions", "dropout", "norm", "output")
        )
        self.layers = nn.ModuleList(_decoder_layer(layer, ours.config) for layer in ours.layers)

    def forward(self, tokens: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """Return logits (B, L, V) for the token after each prefix of `tokens` (B, L)."""
        x = self.dropout(self.positions(self.tokens(tokens)))
        causal = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=tokens.device)
        for layer in self.layers:
            x = layer(x, memory, tgt_mask=causal, memory_key_padding_mask=padding, tgt_is_causal=True)
        return cast(Tensor, self.output(self.norm(x)))


def _shape(c: Any) -> dict[str, Any]:
    return {
        "d_model": c.width, "nhead": c.heads, "dim_feedforward": c.feedforward, "dropout": c.dropout,
        "activation": "gelu", "batch_first": True, "norm_first": True,
    }  # fmt: skip


def _encoder(layers: Any, c: Any) -> nn.ModuleList:
    return nn.ModuleList(_encoder_layer(layer, c) for layer in layers)


def _encoder_layer(ours: EncoderLayer, c: Any) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(**_shape(c))
    _copy_attention(ours.attention, layer.self_attn)
    _copy_rest(ours, layer, ("norm1", "norm2"))
    return layer


def _decoder_layer(ours: Any, c: Any) -> nn.TransformerDecoderLayer:
    layer = nn.TransformerDecoderLayer(**_shape(c))
    _copy_attention(ours.self_attention, layer.self_attn)
    _copy_attention(ours.cross_attention, layer.multihead_attn)
    _copy_rest(ours, layer, ("norm1", "norm2", "norm3"))
    return layer


def _copy_attention(ours: Attention, theirs: nn.MultiheadAttention) -> None:
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    theirs.dropout = 0.0  # Signloom's layers hide no attention weights


def _copy_rest(ours: EncoderLayer | DecoderLayer, theirs: Any, norms: tuple[str, ...]) -> None:
    theirs.linear1.load_state_dict(ours.feedforward[0].state_dict())
    theirs.linear2.load_state_dict(ours.feedforward[3].state_dict())
    for name in norms:
        getattr(theirs, name).load_state_dict(getattr(ours, name).state_dict())
