"""The normal form of sentences, gloss lines and names, and ids for texts that have none."""

import re
import unicodedata
import zlib
from collections.abc import Collection, Iterable

from signloom.letters import seen

_BREAK = "\u200b"  # parts words in Khmer and Thai, and is nothing at the end of one


def one_form(text: str) -> str:
    """Return `text` with composed characters (NFC), single spaces and nothing unseen.

    Texts that look equal become equal strings.
    """
    words = (word.strip(_BREAK) for word in seen(text).split())
    return unicodedata.normalize("NFC", " ".join(word for word in words if word))


def one_name(name: str) -> str:
    """Return the name of a person, part or topic composed (NFC), without spaces around it and unseen marks.

    Spaces inside a name stay.
    """
    return unicodedata.normalize("NFC", seen(name).strip().strip(_BREAK).strip())


def spelled(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return `names` as `known` spells those that people cannot tell from them, such as a decomposed é."""
    known = list(known)
    # of several that look equal, the first one; but each is itself
    forms = {one_form(name): name for name in reversed(known)} | {name: name for name in known}
    return [forms.get(name) or forms.get(one_form(name), name) for name in names]


def one_gloss(text: str) -> str:
    """Return the gloss `text` without spaces, which separate glosses: `BARK, TREE` becomes `BARK,_TREE`."""
    return one_form(text).replace(" ", "_")


def seconds_text(seconds: float) -> str:
    """Return a time as a table writes it: to the microsecond, and without zeros at the end."""
    return f"{round(seconds, 6):.12g}"


def no_underscore(text: str) -> str:
    """Return `text`; raises ValueError for `1_12`, which Python reads as 112."""
    if "_" in text:
        raise ValueError(text)
    return text


def seconds_hint(text: str) -> str:
    """Return how a number with a decimal comma, or a clock, is written in seconds; "" for another text."""
    if re.fullmatch(r"\d*,\d+", text):
        return f"; write {text.replace(',', '.')}, with a point"
    if clock := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)", text):
        hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in clock.groups())
        whole = seconds_text(3600 * hours + 60 * minutes + seconds)
        return f"; write {whole}"
    return ""


def sentence_number(sentence: str) -> int:
    """Return a stable non-negative id for a sentence or gloss line that has no id in its table."""
    # the name of a folder may be no text
    return zlib.crc32(one_form(sentence).encode(errors="surrogatepass")) & 0x7FFFFFFF


def text_numbers(texts: list[str]) -> list[str]:
    """Return the id of every sentence or gloss line in `texts`; "-1" for an empty one (nothing is signed)."""
    numbers = _different_numbers(texts)
    return [str(numbers[one_form(text)]) if one_form(text) else "-1" for text in texts]


def _different_numbers(texts: Iterable[str], taken: Collection[int] = ()) -> dict[str, int]:
    """Return an id for each different text: `sentence_number`, or another if that one is taken.

    In one table of four with 35,000 texts, two texts have the same `sentence_number`.
    """
    numbers: dict[str, int] = {}
    used = set(taken)
    for text in sorted({one_form(text) for text in texts}):
        number, again = sentence_number(text), 0
        while number in used:
            again += 1
            number = sentence_number(f"{text} {again}")
        used.add(number)
        numbers[text] = number
    return numbers


def id_numbers(ids: list[str]) -> list[str]:
    """Return `ids` if all are whole numbers, or else a stable number made from the text of each."""
    ids = [number.strip() for number in ids]
    whole = all(not number or _is_whole(number) for number in ids)
    return ids if whole else [number and made for number, made in zip(ids, text_numbers(ids), strict=True)]


def _is_whole(number: str) -> bool:
    """Return whether a text is a number that the manifest takes, written as it writes it."""
    return number.isdecimal() and str(int(number)) == number and int(number) < 2**31


def sentence_ids(numbers: list[str], texts: list[str]) -> list[str]:
    """Return `numbers`, where an empty one becomes the number of another row with the same text.

    If there is no such row, it becomes a number made from the text, and "-1" without a text.
    """
    texts = [one_form(text) for text in texts]
    known = {text: number for text, number in zip(texts, numbers, strict=True) if text and number}
    given = [int(number) for number in numbers if number.isdecimal()]
    made = _different_numbers((text for text in texts if text and text not in known), given)
    return [
        number or (known[text] if text in known else str(made[text]) if text else "-1")
        for text, number in zip(texts, numbers, strict=True)
    ]
