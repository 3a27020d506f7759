"""The tokenizer and the frozen sentence encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class TextParams(Section):
    """Section `text`."""

    encoder: str = Field(
        "minilm",
        description="frozen sentence encoder: minilm (from its package), or a transformers name or folder",
    )
    pooling: Literal["cls", "mean"] = Field(
        "mean", description="cls: the first token; mean: the mean of all tokens"
    )
    weights: Literal["pretrained", "random"] = Field("pretrained", description="random is for tests")
    tokenizer: Literal["trained", "encoder"] = Field(
        "trained", description="trained: on the training sentences; encoder: the encoder's own"
    )
    vocab_size: int = Field(400, ge=8, description="largest vocabulary of a trained tokenizer")
    max_tokens: int = Field(64, ge=3, description="longest text in tokens, including start and end")
