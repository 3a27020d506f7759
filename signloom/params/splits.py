"""The division of clips into train, val and test."""

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class SplitsParams(Section):
    """Section `splits`."""

    mode: Literal["predefined", "sentence", "signer", "clip"]
    val_share: float = Field(ge=0, lt=1)
    test_share: float = Field(ge=0, lt=1)
    seed: int = Field(ge=0)
