"""Normalise gloss lines for scoring: not at all, or by the published rules of a corpus."""

import re
from itertools import groupby
from typing import Literal

Normalisation = Literal["none", "phoenix"]

EMPTY = "[EMPTY]"  # a line without glosses in scoring files

_PREFIX = re.compile(r"^(?:(?:loc|cl|qu|poss|lh)-)+")
_PLUS = re.compile(r"(?:-PLUSPLUS)+$")
_SPACE = re.compile(r"(?<=[^\W\d_a-z]{2})RAUM$")
_MARKS = frozenset({"__EMOTION__", "__PU__", "__LEFTHAND__", "__EPENTHESIS__", "__ON__", "__OFF__"})
# a finger-spelled gloss: single letters, and the two handshapes for several letters
_LETTER = re.compile(r"^(?:[A-ZÄÖÜ]|SCH|NN)(?:\+(?:[A-ZÄÖÜ]|SCH|NN))*$")


def normalise_glosses(line: str, rules: Normalisation) -> str:
    """Return the gloss line normalised by `rules`; glosses are separated by one space.

    `none` changes nothing else. `phoenix` follows the evaluation of RWTH-PHOENIX-Weather 2014 (Koller et al.
    2015). It removes the prefixes loc-, cl-, qu-, poss- and lh-, the suffix -PLUSPLUS and a trailing RAUM. It
    drops the marks of emotion, pauses, the left hand, transitions, on and off. It joins successive spelled
    letters with + into one gloss, and keeps one of adjacent repeats. An empty line becomes [EMPTY].
    """
    glosses = line.split()
    if rules == "none":
        return " ".join(glosses)
    bare = [_bare(gloss) for gloss in glosses if gloss not in _MARKS]
    merged = [gloss for gloss, _ in groupby(_join_letters([gloss for gloss in bare if gloss]))]
    return " ".join(merged) or EMPTY


def scored_glosses(line: str, rules: Normalisation) -> list[str]:
    """Return the glosses of `line` that count in scores; [] if the rules give [EMPTY]."""
    return [gloss for gloss in normalise_glosses(line, rules).split() if gloss != EMPTY]


def _bare(gloss: str) -> str:
    """Return `gloss` without prefixes and suffixes."""
    return _SPACE.sub("", _PLUS.sub("", _PREFIX.sub("", gloss)))


def _join_letters(glosses: list[str]) -> list[str]:
    """Return the glosses with each run of spelled letters joined; a single letter stays."""
    joined: list[str] = []
    for spelled, run in groupby(glosses, lambda gloss: bool(_LETTER.match(gloss))):
        group = list(run)
        joined += ["+".join(group)] if spelled else group
    return joined
