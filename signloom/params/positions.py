"""Rows of hand and nose positions as features."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from signloom.params.base import Section

Group = Literal["hands", "nose", "hands_clip", "nose_clip", "between", "velocity", "acceleration", "speed"]


class PositionsParams(Section):
    """Section `positions`: which columns are made of a table of positions; signloom.features.positions."""

    groups: list[Group] = Field(
        [], description="in this order; none: the clips are .npy files of 540 features, not rows of a table"
    )
    fps: float = Field(30.0, gt=0, description="frames a second of the table")
    span: int = Field(2, ge=1, description="frames before and after that velocities are taken between")
    stack: int = Field(1, ge=1, description="frames side by side in a row, with the row's own in the middle")
    every: int = Field(1, ge=1, description="a row every n-th frame")
