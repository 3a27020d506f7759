"""The gloss vocabulary: fixed special tokens, then the glosses of the training split."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from signloom.errors import SignloomError

SPECIALS = ["<pad>", "<unk>", "<blank>", "<sos>", "<eos>"]
PAD, UNK, BLANK, SOS, EOS = range(5)


def build_vocabulary(gloss_lines: Iterable[str]) -> list[str]:
    """Return the vocabulary in id order: 0-4 special, then the distinct glosses of the lines, sorted.

    A line holds glosses separated by spaces and may be empty. Raises SignloomError where a gloss has the
    name of a special token.
    """
    glosses = {gloss for line in gloss_lines for gloss in line.split()}
    taken = sorted(glosses & set(SPECIALS))
    if taken:
        raise SignloomError(f"gloss {taken[0]!r} has the name of a special token; rename it in the table")
    return [*SPECIALS, *sorted(glosses)]


def read_vocabulary(path: Path) -> list[str]:
    """Return gloss_vocabulary.json, checked: special tokens at 0-4, no gloss twice."""
    vocabulary = json.loads(path.read_text("utf-8"))
    if vocabulary[:5] != SPECIALS or len(set(vocabulary)) != len(vocabulary):
        raise SignloomError(
            f"{path}: expected a list that starts with {' '.join(SPECIALS)} and repeats nothing"
        )
    return list(vocabulary)


def encode_glosses(line: str, vocabulary: list[str]) -> list[int]:
    """Return the ids of the glosses of `line`; one that training did not see is `<unk>`."""
    ids = {gloss: number for number, gloss in enumerate(vocabulary)}
    return [ids.get(gloss, UNK) for gloss in line.split()]
