"""Features from tables of hand and nose positions."""

from typing import Literal

from pydantic import Field

from signloom.params.base import Section

Group = Literal["hands", "nose", "hands_clip", "nose_clip", "between", "velocity", "acceleration", "speed"]


class PositionsParams(Section):
    """Section `positions`: features from a table of positions; `position_features` makes them."""

    groups: list[Group] = Field(
        description="feature groups, in this order; empty if clips are .npy files of 540 features"
    )
    fps: float = Field(gt=0, description="frames per second of the table")
    span: int = Field(ge=1, description="frames before and after a frame that give its velocity")
