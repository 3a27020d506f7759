"""What the rules say of one run: its seed, and its fold."""

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class RunParams(Section):
    """Section `run`: one training; the rule makes it from its wildcards."""

    seed: int = Field(ge=0)


class FoldParams(Section):
    """Section `fold`: one fold of a division; the rule makes it from section `runs`."""

    by: Literal["signer", "clip", "share"]
    name: str
    all: list[str] = Field([], description="all folds of the division; a share depends on no other")
