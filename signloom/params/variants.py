"""The variants of both families: what each reads, its network and its decoder, or what it changes."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic.dataclasses import dataclass

GlossVariant = Literal["tcn_ctc", "hybrid_pose", "hybrid_clip", "hybrid_clip_aug", "hybrid_both"]
Kind = Literal["pose", "clip", "both"]


@dataclass(frozen=True)
class Variant:
    """One row of the table of variants in variants.yaml.

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


_TABLES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
VARIANTS: dict[str, Variant] = {name: Variant(name=name, **entry) for name, entry in _TABLES["gloss"].items()}
BASELINE: GlossVariant = "tcn_ctc"
# the variants that need no videos, only pose features or rows in their place
WITHOUT_VIDEOS = tuple(name for name, variant in VARIANTS.items() if variant.features("pose") == {"pose"})

SentenceVariant = Literal[
    "tcn", "transformer", "gru_attention", "no_contrastive", "supcon", "no_token_dropout"
]
# variants of sign2text: a label, and what differs from the section `sign2text` of the parameters
SENTENCE_VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (label, changes) for name, (label, changes) in _TABLES["sign2text"].items()
}
