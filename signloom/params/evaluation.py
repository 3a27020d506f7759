"""Decoding, retrieval and the intervals of metrics."""

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


class EvaluationParams(Section):
    """Section `evaluation`: bootstrap intervals."""

    bootstrap: int = Field(2000, ge=100, description="resamples of clips")
    seed: int = Field(42, ge=0)
