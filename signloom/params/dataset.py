"""The location of the clips and the format of their table."""

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class DatasetParams(Section):
    """Section `dataset`."""

    importer: Literal[
        "csv", "signtalk", "signtalk_sampled", "processed", "phoenix2014", "phoenix2014t", "boston104"
    ] = Field(description="format of the annotation table")
    table: str = Field(
        description="annotation table: .csv, .tsv or .xlsx; "
        "for phoenix2014, phoenix2014t and boston104, the folder of the annotation files or one of them"
    )
    videos: str = Field(description="folder to which the video paths of the table are relative")
    variations: str | None = Field(description="JSON file that maps sentence_id to a list of sentences")


class ManifestParams(Section):
    """Section `manifest`."""

    max_reject_ratio: float = Field(ge=0, le=1, description="stop above this share of rejected rows")


class ShardsParams(Section):
    """Section `shards`."""

    count: int = Field(
        ge=1, le=9999, description="number of shards; a stable hash of its id assigns each clip to one"
    )
