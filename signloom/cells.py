"""Texts on their way in and out: control characters become visible, and no spreadsheet runs a cell.

This module imports only the standard library, so that a bundle can answer with it.
"""

import re

# controls of ASCII and Latin-1, overrides that reorder what people read, halves of letters, marks of no text;
# the joiners that scripts need (U+200C, U+200D) and the marks of directions (U+200E, U+200F) are none of them
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_BREAKING = re.compile(CONTROL.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_RUN = re.compile(r"'*[=+\-@]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def shown(text: str) -> str:
    """Return `text` with control characters as JSON escapes them: `\\u001b`, `\\n`."""
    return CONTROL.sub(_escape, text)


def shown_lines(text: str) -> str:
    """Return `text` of several lines as `shown` does, but keep line feeds and tabs."""
    return _BREAKING.sub(_escape, text)


def cell(text: str) -> str:
    """Return `text` as a table holds it: a cell that a spreadsheet would run gets an apostrophe before it.

    Numbers stay as they are. `plain` takes the apostrophe away again.
    """
    text = shown(text)
    return f"'{text}" if _RUN.match(text) and not _NUMBER.fullmatch(text) else text


def plain(text: str) -> str:
    """Return the text that `cell`, or a spreadsheet, wrote: without the apostrophe before a formula."""
    return text[1:] if text.startswith("'") and _RUN.match(text) else text


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(letter, f"\\u{ord(letter):04x}")
