"""The variants of both families: what each reads, its network and its decoder, or what it changes."""

from dataclasses import dataclass
from typing import Any, Literal

GlossVariant = Literal["tcn_ctc", "hybrid_pose", "hybrid_clip", "hybrid_clip_aug", "hybrid_both"]
Kind = Literal["pose", "clip", "both"]


@dataclass(frozen=True)
class Variant:
    """One row of the table of variants.

    `reads` is None if the parameter `tcn.input` says what the variant reads. `copies` says whether it trains
    on augmented copies too. `headline` is the decoder whose scores represent it, chosen beforehand.
    """

    name: GlossVariant
    label: str
    network: Literal["hybrid", "tcn_ctc"]
    headline: Literal["ctc_beam", "joint"]
    reads: Kind | None
    copies: bool = False

    @property
    def ctc_alone(self) -> bool:
        """Whether CTC is the only loss, because the network has no attention decoder."""
        return self.network == "tcn_ctc"

    @property
    def section(self) -> Literal["hybrid", "tcn"]:
        """The section of parameters that shapes the network."""
        return "tcn" if self.ctc_alone else "hybrid"

    def kind(self, tcn_input: Kind) -> Kind:
        """Return which features it reads, if the parameter `tcn.input` is `tcn_input`."""
        return self.reads or tcn_input

    def features(self, tcn_input: Kind) -> set[str]:
        """Return the stages' products that it reads: pose, clip, copies."""
        kind = self.kind(tcn_input)
        found: set[str] = {"pose", "clip"} if kind == "both" else {kind}
        return found | {"copies"} if self.copies else found


_ROWS = (
    Variant("tcn_ctc", "dilated convolutions with CTC alone, the baseline", "tcn_ctc", "ctc_beam", None),
    Variant(
        "hybrid_pose",
        "an encoder with CTC and an attention decoder, on pose features",
        "hybrid",
        "joint",
        "pose",
    ),
    Variant("hybrid_clip", "the hybrid on clip features of a video network", "hybrid", "joint", "clip"),
    Variant(
        "hybrid_clip_aug",
        "the hybrid on clip features, trained on augmented copies of the videos as well",
        "hybrid",
        "joint",
        "clip",
        copies=True,
    ),
    Variant("hybrid_both", "the hybrid on pose and clip features side by side", "hybrid", "joint", "both"),
)
VARIANTS: dict[str, Variant] = {row.name: row for row in _ROWS}
BASELINE: GlossVariant = "tcn_ctc"

SentenceVariant = Literal["transformer", "gru_attention", "no_contrastive", "supcon", "no_token_dropout"]
# variants of sign2text: a label, and what differs from the section `sign2text` of the parameters
SENTENCE_VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "transformer": ("the Transformer as encoder", {"encoder": "transformer"}),
    "gru_attention": (
        "the recurrent encoder with attention",
        {"encoder": "gru_attention", "decoder_layers": 2},
    ),
    "no_contrastive": ("without the contrastive loss", {"lambda_clip": 0.0}),
    "supcon": (
        "with two views of each clip and the supervised contrastive loss",
        {"dual_view": True, "lambda_supcon": 0.5},
    ),
    "no_token_dropout": ("without token dropout", {"token_dropout": 0.0}),
}
