"""The model families to build."""

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class PipelineParams(Section):
    """Section `pipeline`."""

    families: list[Literal["sign2text", "gloss"]] = Field(
        min_length=1,
        description="sign2text: from landmarks to a sentence; gloss: from features to glosses",
    )
