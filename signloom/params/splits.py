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
    folds: int = Field(
        0, ge=0, description="number of cross-validation folds of the predefined training clips; 0: none"
    )
    fold: int = Field(0, ge=0, description="number of the fold that becomes val, from 0")
