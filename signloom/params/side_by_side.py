"""Tables that compare settings side by side."""

from pydantic import Field

from signloom.params.base import Section
from signloom.params.variants import GlossVariant


class SideBySideParams(Section):
    """Section `side_by_side`: one table; the rule makes it from config/side_by_side.yaml."""

    table: str
    variant: GlossVariant
    settings: list[str] = Field(min_length=2, description="the others are compared with the first")
    seeds: list[int] = Field(min_length=1, description="the first gives the run its name")
