"""Decoding, retrieval, gates, the intervals of metrics, and the report."""

from typing import Annotated

from pydantic import Field

from signloom.params.base import LARGEST_SEED, Section


class DecodingParams(Section):
    """Section `decoding`: beam search of the sentence decoder."""

    beam: int = Field(ge=1)
    length_penalty: float = Field(ge=0, description="alpha of ((5 + n) / 6) ** alpha")
    batch_size: int = Field(ge=1)


class RetrievalParams(Section):
    """Section `retrieval`."""

    prototype_min_clips: int = Field(ge=1, description="least number of training clips for a prototype")
    exact_limit: int = Field(
        ge=1, description="largest gallery in clips with exact search; above, it is approximate"
    )


class InferenceParams(Section):
    """Section `inference`: when to answer and when to refuse."""

    max_false_accept_rate: float = Field(
        ge=0, le=1, description="largest share of clips of unknown sentences that may be accepted"
    )
    top_k: int = Field(ge=1, description="number of sentences in an answer")
    temperature: float = Field(
        gt=0, description="temperature of the softmax over sentences that gives the confidence"
    )
    seed: int = Field(ge=0, le=LARGEST_SEED, description="seed of the generated clips that should be refused")


class EvaluationParams(Section):
    """Section `evaluation`: bootstrap intervals."""

    bootstrap: int = Field(ge=100, description="number of bootstrap resamples of clips")
    seed: int = Field(ge=0, le=LARGEST_SEED)


class ReportParams(Section):
    """Section `report`."""

    recipes: list[Annotated[str, Field(min_length=1)]] = Field(
        description="tables of recipes that were compared on training clips, which the report shows"
    )
