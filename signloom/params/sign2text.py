"""The landmarks-to-sentence model, its training and its augmentation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class AugmentParams(Section):
    """Section `augment`: landmark augmentation of training clips; `*_p` are probabilities."""

    time_warp: float = Field(0.15, ge=0, lt=1, description="length factor is drawn from 1 +- this")
    time_warp_p: float = Field(0.6, ge=0, le=1)
    frame_dropout: float = Field(0.12, ge=0, lt=1, description="share of frames dropped")
    frame_dropout_p: float = Field(0.5, ge=0, le=1)
    noise: float = Field(0.012, ge=0, description="Gaussian noise in body units")
    noise_p: float = Field(0.5, ge=0, le=1)
    rotation: float = Field(15.0, ge=0, description="largest rotation about the vertical axis in degrees")
    rotation_p: float = Field(0.8, ge=0, le=1)
    body: float = Field(0.0, ge=0, lt=1, description="changed proportions: axes are scaled by 1 +- this")
    body_p: float = Field(0.0, ge=0, le=1)
    shift: int = Field(4, ge=0, description="largest shift in frames; the edges are repeated")
    shift_p: float = Field(0.5, ge=0, le=1)


class Sign2TextParams(Section):
    """Section `sign2text`: model sizes and training."""

    encoder: Literal["transformer", "gru_attention"] = "transformer"
    width: int = Field(512, ge=8)
    layers: int = Field(6, ge=1)
    heads: int = Field(8, ge=1)
    feedforward: int = Field(2048, ge=8)
    decoder_layers: int = Field(6, ge=1, description="for gru_attention, use 2 (preset gru)")
    dropout: float = Field(0.2, ge=0, lt=1)
    token_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the sentence's tokens that the decoder does not see in training",
    )
    embedding_dim: int = Field(256, ge=8, description="size of clip and sentence embeddings")
    seq_len: int = Field(128, ge=1, description="longest input in frames; longer clips are cropped")
    dual_view: bool = Field(True, description="train on even and odd frames as two augmented views")
    lambda_ce: float = Field(1.0, ge=0)
    lambda_clip: float = Field(1.0, ge=0)
    lambda_supcon: float = Field(
        0.5, ge=0, description="0 leaves this loss out of training and history; else its weight"
    )
    clip_temperature: float = Field(0.05, gt=0)
    supcon_temperature: float = Field(0.07, gt=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    variation_p: float = Field(
        0.5, ge=0, le=1, description="probability that a variation replaces the sentence"
    )
    batch_size: int = Field(64, ge=2)
    instances_per_class: int = Field(2, ge=1)
    accumulation: int = Field(1, ge=1, description="batches per optimiser step")
    epochs: int = Field(50, ge=1)
    lr: float = Field(3e-4, gt=0)
    betas: list[float] = Field([0.9, 0.98], min_length=2, max_length=2)
    weight_decay: float = Field(1e-4, ge=0)
    warmup_epochs: float = Field(0.0, ge=0)
    restarts: int = Field(0, ge=0, description="number of warm restarts of the cosine schedule")
    clip_norm: float = Field(1.0, gt=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    decode_every: int = Field(5, ge=1, description="epochs between greedy decodings of the validation set")
    cached_text: bool = Field(True, description="use the frozen text embeddings of stage text")
    workers: int = Field(4, ge=0, description="loader processes; batches do not depend on their number")
    threads: int = Field(2, ge=1, description="processor threads; results depend on their number")
