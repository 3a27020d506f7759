"""Gloss lines as they are scored: unchanged, or by the published rules of a corpus."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Literal

Normalisation = Literal["none", "phoenix"]

EMPTY = "[EMPTY]"  # how scoring files write a line without glosses

_PREFIX = re.compile(r"^(?:(?:loc|cl|qu|poss|lh)-)+")
_PLUS = re.compile(r"(?:-PLUSPLUS)+$")
_SPACE = re.compile(r"(?<=[^\W\d_a-z]{2})RAUM$")
_MARKS = frozenset({"__EMOTION__", "__PU__", "__LEFTHAND__", "__EPENTHESIS__", "__ON__", "__OFF__"})
# what finger-spelling consists of: single letters, and the two handshapes that stand for more than one
_LETTER = re.compile(r"^(?:[A-ZÄÖÜ]|SCH|NN)(?:\+(?:[A-ZÄÖÜ]|SCH|NN))*$")


def normalise_glosses(line: str, rules: Normalisation) -> str:
    """Return the gloss line as `rules` have it; glosses are separated by one space.

    `none` changes nothing else. `phoenix` follows the evaluation of RWTH-PHOENIX-Weather 2014 (Koller et al.
    2015): the prefixes loc-, cl-, qu-, poss- and lh-, the suffix -PLUSPLUS and a trailing RAUM go; marks of
    emotion, pauses, the left hand, transitions and of on and off are dropped; letters that are spelled one
    after another become one gloss, joined by +; of adjacent repeats one stays; an empty line becomes [EMPTY].
    """
    glosses = line.split()
    if rules == "none":
        return " ".join(glosses)
    bare = [_bare(gloss) for gloss in glosses if gloss not in _MARKS]
    merged = [gloss for gloss, _ in groupby(_join_letters([gloss for gloss in bare if gloss]))]
    return " ".join(merged) or EMPTY


def scored_glosses(line: str, rules: Normalisation) -> list[str]:
    """Return the glosses of `line` that count: none where the rules write [EMPTY]."""
    return [gloss for gloss in normalise_glosses(line, rules).split() if gloss != EMPTY]


def _bare(gloss: str) -> str:
    """Return `gloss` without prefixes and suffixes."""
    return _SPACE.sub("", _PLUS.sub("", _PREFIX.sub("", gloss)))


def _join_letters(glosses: list[str]) -> list[str]:
    """Return the glosses with each run of spelled letters as one; a letter alone stays."""
    joined: list[str] = []
    for spelled, run in groupby(glosses, lambda gloss: bool(_LETTER.match(gloss))):
        group = list(run)
        joined += ["+".join(group)] if spelled else group
    return joined
