"""Letters as people see them: without unseen marks, in small letters, and how wide they are.

This module imports only the standard library, so that a bundle can answer with it.
"""

import re
import unicodedata

# soft hyphen, grapheme joiner, marks of direction, word joiner and its kin, byte order mark; subtitles in
# Arabic and Hebrew have U+202B and U+202C around each line, but overrides (U+202D, U+202E) change the order
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u200e\u200f\u202a-\u202c\u2060-\u2064\u2066-\u206f\ufeff]")
_JOINERS = re.compile("[\u200c\u200d]+")
# kinds of what stands before and after a joiner that is seen: letters and their marks, or parts of a picture
_JOINED = {"LL", "LM", "ML", "MM", "SS"}
_SELECTOR = "\ufe0f"  # belongs to the picture before it
_VIRAMA = 9  # the combining class of the marks that take a vowel away


def seen(text: str) -> str:
    """Return `text` without marks that nobody sees, which texts copied from pages and documents carry.

    Joiners stay where they change what is seen: between letters, after the virama of a half letter, and in
    joined pictures. U+200B, which parts words, stays everywhere.
    """
    if text.isascii():
        return text
    return _JOINERS.sub(_needed, _UNSEEN.sub("", text))


def _needed(found: re.Match[str]) -> str:
    """Return the joiners of one place, each once, or "" if nobody sees them there."""
    text, (start, end) = found.string, found.span()
    before, after = text[start - 1 : start], text[end : end + 1]
    kinds = "".join("S" if mark == _SELECTOR else unicodedata.category(mark)[0] for mark in before + after)
    half = before and unicodedata.combining(before) == _VIRAMA and "\u200d" in found[0]
    return "".join(dict.fromkeys(found[0])) if half or kinds in _JOINED else ""


def small(text: str) -> str:
    """Return `text` case-folded and composed (NFC), without strokes (U+0640) that only stretch Arabic words.

    `İ` becomes `i`, without the dot that folding leaves.
    """
    return unicodedata.normalize("NFC", text.casefold().replace("i\u0307", "i").replace("\u0640", ""))


def columns(text: str) -> int:
    """Return how many columns `text` takes: two for a wide letter of East Asia, none for a mark."""
    return sum(map(_columns, unicodedata.normalize("NFC", text)))


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
