"""The gloss family: variants, networks, training, augmentation, decoding."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from signloom.params.base import Augmentation, RunParams, Section
from signloom.params.variants import VARIANTS, GlossVariant, Kind, Variant


class Expectation(Section):
    """An expectation that the ablation tests: `better` makes fewer errors than `worse`, since `claim`."""

    better: GlossVariant
    worse: GlossVariant
    claim: str = Field(min_length=1, description="a clause such as: augmented frames help")

    @model_validator(mode="after")
    def _of_two(self) -> Self:
        if self.better == self.worse:
            raise ValueError(f"better and worse are both {self.better}; name two variants")
        return self


class GlossParams(Section):
    """Section `gloss`: the variants to train and compare, with every seed and fold of section `runs`."""

    variants: list[GlossVariant] = Field(min_length=1)
    hypotheses: list[Expectation] = Field(
        description="what is expected; the ablation tests those whose variants are trained"
    )


class GlossRunParams(RunParams):
    """Section `run`: one training of one variant; the rule makes it from its wildcards."""

    variant: GlossVariant

    @property
    def row(self) -> Variant:
        """The variant's row in the table of variants."""
        return VARIANTS[self.variant]


class HybridParams(Section):
    """Section `hybrid`: Transformer encoder with a CTC head and an attention decoder."""

    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    feedforward: int = Field(ge=8)
    decoder_layers: int = Field(ge=1)
    ctc_weight: float = Field(
        gt=0,
        lt=1,
        description="weight of the CTC loss; cross-entropy gets the rest. Both are needed: attention chooses "
        "the best epoch, and CTC finds the times of glosses",
    )
    label_smoothing: float = Field(ge=0, lt=1)
    token_dropout: float = Field(
        ge=0, lt=1, description="share of the decoder's input glosses that become <unk> in training"
    )
    lr: float = Field(gt=0)


def _odd(number: int) -> int:
    # an even kernel has no middle row
    if number % 2 == 0:
        raise ValueError("expected an odd number")
    return number


class TcnParams(Section):
    """Section `tcn`: residual dilated convolutions with a CTC head, the baseline."""

    input: Kind
    layers: int = Field(ge=1, description="dilation starts at 1 and doubles from layer to layer")
    kernel: Annotated[int, AfterValidator(_odd)] = Field(
        ge=1, json_schema_extra={"not": {"multipleOf": 2}}, description="rows that a convolution reads; odd"
    )
    lr: float = Field(gt=0)


class TrainGlossParams(Section):
    """Section `train_gloss`: settings that all variants share."""

    width: int = Field(ge=8)
    dropout: float = Field(ge=0, lt=1)
    normalise_by: Literal["all", "signer"] = Field(
        description="clips that give mean and deviation: all, or the signer's (all for a new signer)"
    )
    stack: int = Field(ge=1, description="neighbouring rows side by side in an input row")
    every: int = Field(ge=1, description="keep every n-th row after stacking")
    max_frames: int = Field(ge=1, description="longer inputs are subsampled evenly, never cut")
    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1)
    warmup_epochs: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    precision: Literal["fp32", "bf16", "fp16"]
    max_infeasible: float = Field(
        ge=0, le=1, description="stop above this share of clips that are too short for their glosses"
    )
    threads: int = Field(ge=1, description="processor threads; results depend on their number")


class GlossAugmentParams(Section):
    """Section `gloss_augment`: augmentation of feature rows of any source."""

    feature_dropout: float = Field(ge=0, lt=1, description="share of columns set to 0 for a whole clip")
    feature_dropout_p: float = Field(ge=0, le=1)
    noise: float = Field(ge=0, description="Gaussian noise in standard deviations")
    noise_p: float = Field(ge=0, le=1)
    time_mask: int = Field(ge=0, description="longest time mask in rows")
    time_mask_p: float = Field(ge=0, le=1)
    mix_alpha: float = Field(gt=0, description="alpha of Beta(alpha, alpha), from which lambda is drawn")
    mixup_p: float = Field(ge=0, le=1)
    cutmix_p: float = Field(ge=0, le=1, description="a clip is mixed in at most one of the two ways")

    @model_validator(mode="after")
    def _one_way_a_clip(self) -> Self:
        if self.mixup_p + self.cutmix_p > 1:
            larger = "mixup_p" if self.mixup_p >= self.cutmix_p else "cutmix_p"
            raise ValueError(f"{larger}: the sum of mixup_p and cutmix_p must be at most 1")
        return self


class GlossRecomposeParams(Augmentation):
    """Section `gloss_recompose`: new sentences from training clips with known gloss times."""

    crop_p: float = Field(ge=0, le=1, description="probability of a part of successive glosses")
    join_p: float = Field(ge=0, le=1, description="probability of joining glosses of another clip")
    swap_p: float = Field(
        ge=0, le=1, description="probability, for each gloss, of using another clip's signing of it"
    )

    @property
    def used(self) -> bool:
        """Return whether any probability is above 0."""
        return max(self.crop_p, self.join_p, self.swap_p) > 0


class GlossPositionsParams(Augmentation):
    """Section `gloss_positions`: augmentation of standardised columns that are pairs of x and y.

    It applies to features of a table of positions with the groups hands, nose, between and velocity, without
    clip features.
    """

    scale: float = Field(ge=0, lt=1, description="x and y are scaled by 1 +- this")
    rotation: float = Field(ge=0, description="largest rotation of every pair in degrees")
    shift: float = Field(ge=0, description="deviation of a clip's offset, in standard deviations")
    offset_columns: int = Field(
        ge=0, description="number of leading columns that `shift` moves; leave out velocities"
    )
    noise: float = Field(ge=0, description="Gaussian noise in standard deviations")

    @property
    def used(self) -> bool:
        """Return whether any augmentation is above 0."""
        return max(self.scale, self.rotation, self.shift, self.noise) > 0


class DecodeGlossParams(Section):
    """Section `decode_gloss`."""

    joint_ctc_weight: float = Field(
        ge=0, le=1, description="joint beam: weight of CTC; attention gets the rest"
    )
    lm_weight: float = Field(
        ge=0, description="joint beam: weight of an n-gram model of the training glosses"
    )
    lm_order: int = Field(ge=2, le=3, description="n of that model")
    length_bonus: float = Field(ge=0, description="joint beam: score added for every gloss")
    batch_size: int = Field(ge=1)
    normalisation: Literal["none", "phoenix"] = Field(description="normalisation of glosses before scoring")
