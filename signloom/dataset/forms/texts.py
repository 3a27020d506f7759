"""The normal form of sentences and gloss lines, and ids for those that have none."""

import unicodedata
import zlib


def one_form(text: str) -> str:
    """Return `text` with composed characters (NFC) and single spaces; equal texts become equal strings."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def one_gloss(text: str) -> str:
    """Return the gloss `text` without spaces, which separate glosses: `BARK, TREE` becomes `BARK,_TREE`."""
    return one_form(text).replace(" ", "_")


def seconds_text(seconds: float) -> str:
    """Return a time as a table writes it: to the microsecond, and without zeros at the end."""
    return f"{round(seconds, 6):.12g}"


def sentence_number(sentence: str) -> int:
    """Return a stable non-negative id for a sentence or gloss line that has no id in its table."""
    # the name of a folder may be no text
    return zlib.crc32(one_form(sentence).encode(errors="surrogatepass")) & 0x7FFFFFFF


def text_numbers(texts: list[str]) -> list[str]:
    """Return the id of every sentence or gloss line in `texts`; "-1" for an empty one (nothing is signed)."""
    return [str(sentence_number(text)) if one_form(text) else "-1" for text in texts]


def id_numbers(ids: list[str]) -> list[str]:
    """Return `ids` if all are whole numbers, or else a stable number made from the text of each."""
    ids = [number.strip() for number in ids]
    whole = all(not number or _is_whole(number) for number in ids)
    return ids if whole else [str(sentence_number(number)) if number else "" for number in ids]


def _is_whole(number: str) -> bool:
    """Return whether a text is a number that the manifest takes, written as it writes it."""
    return number.isdecimal() and str(int(number)) == number and int(number) < 2**31


def sentence_ids(numbers: list[str], texts: list[str]) -> list[str]:
    """Return `numbers`, where an empty one becomes the number of another row with the same text.

    If there is no such row, it becomes a number made from the text, and "-1" without a text.
    """
    known = {text: number for text, number in zip(texts, numbers, strict=True) if text and number}
    return [
        number or (known.get(text, str(sentence_number(text))) if text else "-1")
        for text, number in zip(texts, numbers, strict=True)
    ]
