"""What a table of settings is made of."""

from __future__ import annotations

from pydantic import Field

from signloom.params.base import Section
from signloom.params.gloss import Variant


class SideBySideParams(Section):
    """Section `side_by_side`, made by the rule from config/side_by_side.yaml: one table."""

    table: str
    variant: Variant
    settings: list[str] = Field(min_length=2, description="the first is what the others are compared with")
    seeds: list[int] = Field(min_length=1, description="the first names the run")
