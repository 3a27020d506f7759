"""The normal form of sentences and gloss lines, and ids for those that have none."""

import unicodedata
import zlib


def one_form(text: str) -> str:
    """Return `text` with composed characters (NFC) and single spaces; equal texts become equal strings."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def sentence_number(sentence: str) -> int:
    """Return a stable non-negative id for a sentence or gloss line that has no id in its table."""
    return zlib.crc32(one_form(sentence).encode()) & 0x7FFFFFFF


def text_numbers(texts: list[str]) -> list[str]:
    """Return the id of every sentence or gloss line in `texts`; "-1" for an empty one (nothing is signed)."""
    return [str(sentence_number(text)) if one_form(text) else "-1" for text in texts]
