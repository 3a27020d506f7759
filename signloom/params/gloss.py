"""The gloss family: variants, networks, training, augmentation, decoding."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from signloom.params.base import Section

Variant = Literal["tcn_ctc", "hybrid_pose", "hybrid_clip", "hybrid_clip_aug", "hybrid_both"]


class GlossParams(Section):
    """Section `gloss`: what is trained and compared."""

    variants: list[Variant] = Field(["tcn_ctc", "hybrid_pose", "hybrid_clip", "hybrid_both"], min_length=1)
    seeds: list[int] = Field([42], min_length=1, description="the first names the products")


class RunParams(Section):
    """Section `run`, made by the rule from the run's name: one training of one variant."""

    variant: Variant
    seed: int = Field(ge=0)


class HybridParams(Section):
    """Section `hybrid`: Transformer encoder with a CTC head and an attention decoder."""

    layers: int = Field(6, ge=1)
    heads: int = Field(8, ge=1)
    feedforward: int = Field(2048, ge=8)
    decoder_layers: int = Field(3, ge=1)
    ctc_weight: float = Field(0.3, ge=0, le=1, description="cross-entropy has the rest")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    token_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the decoder's input glosses hidden as <unk> in training"
    )
    lr: float = Field(1e-4, gt=0)


class TcnParams(Section):
    """Section `tcn`: residual dilated convolutions with a CTC head, the baseline."""

    input: Literal["pose", "clip", "both"] = "pose"
    layers: int = Field(5, ge=1, description="dilation doubles from layer to layer, from 1")
    kernel: int = Field(3, ge=1)
    lr: float = Field(1e-4, gt=0)


class TrainGlossParams(Section):
    """Section `train_gloss`: what all variants share."""

    width: int = Field(512, ge=8)
    dropout: float = Field(0.1, ge=0, lt=1)
    normalise_by: Literal["all", "signer"] = Field(
        "all", description="whose training clips give mean and deviation; an unknown signer has those of all"
    )
    stack: int = Field(1, ge=1, description="rows side by side, the row's own in the middle")
    every: int = Field(1, ge=1, description="a row every n-th one, after stacking")
    max_frames: int = Field(150, ge=1, description="longer inputs are evenly subsampled, never cut")
    batch_size: int = Field(8, ge=1)
    epochs: int = Field(100, ge=1)
    warmup_epochs: float = Field(5.0, ge=0)
    betas: list[float] = Field([0.9, 0.98], min_length=2, max_length=2)
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float = Field(5.0, gt=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    max_infeasible: float = Field(0.05, ge=0, le=1, description="stop above this share of clips")
    collapse_ratio: float = Field(0.95, gt=0, le=1, description="blank ratio that warns of a collapse")
    collapse_epochs: int = Field(3, ge=1, description="after this many epochs above it")
    threads: int = Field(1, ge=1, description="fixed, because sums depend on the number of threads")


class GlossAugmentParams(Section):
    """Section `gloss_augment`: augmentation of feature rows, whatever made them."""

    feature_dropout: float = Field(0.1, ge=0, lt=1, description="share of columns zeroed for a clip")
    feature_dropout_p: float = Field(0.5, ge=0, le=1)
    noise: float = Field(0.05, ge=0, description="Gaussian noise, standard deviations")
    noise_p: float = Field(0.3, ge=0, le=1)
    time_masks: int = Field(1, ge=0)
    time_mask: int = Field(3, ge=0, description="longest mask in rows")
    time_mask_p: float = Field(0.3, ge=0, le=1)
    mix_alpha: float = Field(0.2, gt=0, description="lambda is drawn from Beta(alpha, alpha)")
    mixup_p: float = Field(0.3, ge=0, le=1)
    cutmix_p: float = Field(0.3, ge=0, le=1, description="a clip is mixed in one way or the other")

    @model_validator(mode="after")
    def _one_way_a_clip(self) -> Self:
        if self.mixup_p + self.cutmix_p > 1:
            raise ValueError("mixup_p and cutmix_p together are at most 1")
        return self


class GlossRecomposeParams(Section):
    """Section `gloss_recompose`: new sentences of training clips whose gloss times are known."""

    crop_p: float = Field(0.0, ge=0, le=1, description="only some successive glosses")
    join_p: float = Field(0.0, ge=0, le=1, description="some glosses of another clip before or after")
    swap_p: float = Field(0.0, ge=0, le=1, description="of each gloss: as signed in another place")

    @property
    def used(self) -> bool:
        """Return whether anything is ever drawn."""
        return max(self.crop_p, self.join_p, self.swap_p) > 0


class GlossPositionsParams(Section):
    """Section `gloss_positions`: augmentation of standardised columns that are pairs of x and y.

    For pose features of a table of positions, read alone: groups hands, nose, between, velocity.
    """

    scale: float = Field(0.0, ge=0, lt=1, description="x and y are scaled by 1 +- this")
    rotation: float = Field(0.0, ge=0, description="degrees, of every pair")
    shift: float = Field(0.0, ge=0, description="deviation of one offset a clip, standard deviations")
    offset_columns: int = Field(8, ge=0, description="the first columns, which `shift` moves: no velocities")
    noise: float = Field(0.0, ge=0, description="Gaussian noise, standard deviations")

    @property
    def used(self) -> bool:
        """Return whether anything ever changes."""
        return max(self.scale, self.rotation, self.shift, self.noise) > 0


class DecodeGlossParams(Section):
    """Section `decode_gloss`."""

    ctc_beam: int = Field(10, ge=1)
    attention_beam: int = Field(5, ge=1)
    joint_beam: int = Field(10, ge=1)
    joint_ctc_weight: float = Field(0.4, ge=0, le=1)
    length_penalty: float = Field(0.8, ge=0, description="alpha of ((5 + n) / 6) ** alpha, attention beam")
    lm_weight: float = Field(0.0, ge=0, description="of an n-gram model of the training glosses, joint beam")
    lm_order: Literal[2, 3] = 3
    length_bonus: float = Field(0.0, ge=0, description="added for every gloss, joint beam")
    batch_size: int = Field(32, ge=1)
    normalisation: Literal["none", "phoenix"] = Field("none", description="of glosses before they are scored")
