"""The division of clips into train, val and test."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class SplitsParams(Section):
    """Section `splits`."""

    mode: Literal["predefined", "sentence", "signer", "clip"] = Field("predefined")
    val_share: float = Field(0.15, ge=0, lt=1)
    test_share: float = Field(0.15, ge=0, lt=1)
    seed: int = Field(42, ge=0)
