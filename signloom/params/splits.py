"""The division of clips into train, val and test, and its folds."""

from typing import Literal

from pydantic import Field

from signloom.params.base import LARGEST_SEED, Section

FoldBy = Literal["signer", "clip", "part", "share"]


class SplitsParams(Section):
    """Section `splits`."""

    mode: Literal["predefined", "sentence", "signer", "clip"]
    val_share: float = Field(
        ge=0, lt=1, description="0: none, also in folds by signer, which else validate on the next signer"
    )
    test_share: float = Field(ge=0, lt=1, description="0: build without test clips, in any mode")
    seed: int = Field(ge=0, le=LARGEST_SEED)


class FoldParams(Section):
    """Section `fold`: one fold of a division; the rule makes it from section `runs`."""

    by: FoldBy
    name: str
    all: list[str] = Field([], description="all folds of the division; a share depends on no other")
