"""The landmarks-to-sentence model, its training and its augmentation."""

from typing import Literal, Self

from pydantic import Field, model_validator

from signloom.params.base import Augmentation, Section


class AugmentParams(Augmentation):
    """Section `augment`: landmark augmentation of training clips; `*_p` are probabilities."""

    time_warp: float = Field(ge=0, lt=1, description="length factor is drawn from 1 +- this")
    time_warp_p: float = Field(ge=0, le=1)
    frame_dropout: float = Field(ge=0, lt=1, description="share of frames dropped")
    frame_dropout_p: float = Field(ge=0, le=1)
    noise: float = Field(ge=0, description="Gaussian noise in body units")
    noise_p: float = Field(ge=0, le=1)
    rotation: float = Field(ge=0, description="largest rotation about the vertical axis in degrees")
    rotation_p: float = Field(ge=0, le=1)
    body: float = Field(ge=0, lt=1, description="changed proportions: axes are scaled by 1 +- this")
    body_p: float = Field(ge=0, le=1)
    shift: int = Field(ge=0, description="largest shift in frames; the edges are repeated")
    shift_p: float = Field(ge=0, le=1)


class Sign2TextParams(Section):
    """Section `sign2text`: model sizes and training."""

    task: Literal["sentences", "signs"] = Field(
        description="signs: every text is one sign; signs are found by retrieval, and no sentence decoder is "
        "trained (`decoder_layers`, `token_dropout` and section `decoding` then change nothing)"
    )
    encoder: Literal["transformer", "gru_attention", "tcn"] = Field(
        description="tcn: dilated convolutions, which learn single signs from few clips"
    )
    width: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    feedforward: int = Field(ge=8)
    decoder_layers: int = Field(ge=1, description="for gru_attention, use 2 (preset gru)")
    dropout: float = Field(ge=0, lt=1)
    token_dropout: float = Field(
        ge=0,
        lt=1,
        description="share of the sentence's tokens that the decoder does not see in training",
    )
    embedding_dim: int = Field(ge=8, description="size of clip and sentence embeddings")
    seq_len: int = Field(ge=1, description="longest input in frames; longer clips are cropped")
    dual_view: bool = Field(description="lambda_supcon compares even and odd frames as two augmented views")
    lambda_gloss: float = Field(
        ge=0,
        description="weight of the CTC loss of a gloss reader: the sentence decoder then reads nothing but "
        "the probabilities of glosses; 0, or a corpus without glosses, lets it read the encoder's frames",
    )
    recombine_p: float = Field(
        ge=0,
        le=1,
        description="probability that a gloss is exchanged, with its words, in new sentences that the "
        "decoder learns beside the clips; 0 makes none, and so does a decoder that reads frames",
    )
    lambda_clip: float = Field(ge=0, description="weight of the contrastive loss; cross-entropy has weight 1")
    lambda_class: float = Field(
        ge=0,
        description="weight of telling a clip's sentence from all others of the training; 0 leaves it out",
    )
    lambda_supcon: float = Field(
        ge=0, description="0 leaves this loss out of training and history; else its weight"
    )
    label_smoothing: float = Field(ge=0, lt=1)
    variation_p: float = Field(ge=0, le=1, description="probability that a variation replaces the sentence")
    batch_size: int = Field(ge=2)
    instances_per_class: int = Field(ge=1)
    accumulation: int = Field(ge=1, description="batches per optimiser step")
    epochs: int = Field(ge=1)
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_epochs: float = Field(ge=0)
    restarts: int = Field(ge=0, description="number of warm restarts of the cosine schedule")
    precision: Literal["fp32", "bf16", "fp16"]
    decode_every: int = Field(ge=1, description="epochs between greedy decodings of the validation set")
    workers: int = Field(ge=0, description="loader processes; batches do not depend on their number")
    threads: int = Field(ge=1, description="processor threads; results depend on their number")

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        weights = (self.lambda_clip, self.lambda_class, self.lambda_supcon)
        if self.task == "signs" and not any(weights):
            raise ValueError(
                "lambda_clip, lambda_class, lambda_supcon: one must be above 0 with task signs, which has no "
                "sentence decoder to train"
            )
        return self
