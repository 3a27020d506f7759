"""Decoding, retrieval, gates and the intervals of metrics."""

from __future__ import annotations

from pydantic import Field

from signloom.params.base import Section


class DecodingParams(Section):
    """Section `decoding`: beam search of the sentence decoder."""

    beam: int = Field(4, ge=1)
    length_penalty: float = Field(0.8, ge=0, description="alpha of ((5 + n) / 6) ** alpha")
    batch_size: int = Field(64, ge=1)


class RetrievalParams(Section):
    """Section `retrieval`."""

    prototype_min_clips: int = Field(2, ge=1, description="training clips that a prototype needs")
    exact_limit: int = Field(
        100_000, ge=1, description="gallery clips up to which search is exact; above, it is approximate"
    )


class InferenceParams(Section):
    """Section `inference`: when an answer is given rather than refused."""

    max_false_accept_rate: float = Field(
        0.05, ge=0, le=1, description="share of clips outside the gallery's sentences that may be accepted"
    )
    top_k: int = Field(5, ge=1, description="sentences in an answer")
    temperature: float = Field(0.05, gt=0, description="of the softmax over sentences that gives confidence")
    seed: int = Field(42, ge=0, description="of the clips that are made to be refused")


class EvaluationParams(Section):
    """Section `evaluation`: bootstrap intervals."""

    bootstrap: int = Field(2000, ge=100, description="resamples of clips")
    seed: int = Field(42, ge=0)
