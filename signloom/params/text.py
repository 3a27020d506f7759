"""The tokenizer and the frozen sentence encoder."""

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class TextParams(Section):
    """Section `text`."""

    encoder: str = Field(
        min_length=1,
        description="frozen sentence encoder: minilm (from its package), or a transformers name or folder",
    )
    pooling: Literal["cls", "mean"] = Field(description="cls: the first token; mean: the mean of all tokens")
    weights: Literal["pretrained", "random"] = Field(description="random is for tests")
    tokenizer: Literal["trained", "encoder"] = Field(
        description="trained: on the training sentences; encoder: the encoder's own"
    )
    vocab_size: int = Field(ge=8, description="largest vocabulary of a trained tokenizer")
    max_tokens: int = Field(ge=3, description="longest text in tokens, including start and end")
