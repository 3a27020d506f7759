"""The one form of sentences and gloss lines, and the ids of those that have none."""

from __future__ import annotations

import unicodedata
import zlib


def one_form(text: str) -> str:
    """Return `text` with composed characters (NFC) and single spaces: equal texts are equal strings."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def sentence_number(sentence: str) -> int:
    """Return a stable positive id for a sentence or gloss line that has none in its table."""
    return zlib.crc32(one_form(sentence).encode()) & 0x7FFFFFFF


def text_numbers(texts: list[str]) -> list[str]:
    """Return the id of every sentence or gloss line of `texts`; "-1" where it is empty: nothing is signed."""
    return [str(sentence_number(text)) if one_form(text) else "-1" for text in texts]
