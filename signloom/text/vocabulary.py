"""The gloss vocabulary: fixed special tokens, then the glosses of the training split."""

from collections.abc import Iterable
from typing import NamedTuple

from signloom.errors import SignloomError

SPECIALS = ["<pad>", "<unk>", "<blank>", "<sos>", "<eos>"]
PAD, UNK, BLANK, SOS, EOS = range(5)


class Symbols(NamedTuple):
    """Ids of special tokens: padding and start are never decoded, and end closes a sentence."""

    pad: int
    start: int
    end: int


SYMBOLS = Symbols(PAD, SOS, EOS)


def build_vocabulary(gloss_lines: Iterable[str]) -> list[str]:
    """Return the vocabulary in id order: the special tokens 0-4, then the sorted distinct glosses.

    A line holds glosses separated by spaces and may be empty. Raises SignloomError if a gloss has the name of
    a special token.
    """
    glosses = {gloss for line in gloss_lines for gloss in line.split()}
    taken = sorted(glosses & set(SPECIALS))
    if taken:
        raise SignloomError(f"gloss {taken[0]!r} has the name of a special token; rename it in the table")
    return [*SPECIALS, *sorted(glosses)]
