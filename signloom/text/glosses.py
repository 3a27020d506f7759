"""The gloss line of every signed clip, and the vocabulary of the training glosses, as files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from signloom.errors import SignloomError
from signloom.text.vocabulary import SPECIALS


def gather_gloss_lines(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return `clip_id, gloss` of every signed clip, sorted by clip; glosses are separated by one space.

    `metadata` needs `clip_id, sentence_id, gloss`; a line may be empty.
    """
    signed = metadata.loc[metadata["sentence_id"] >= 0, ["clip_id", "gloss"]].sort_values("clip_id")
    lines = [" ".join(line.split()) for line in signed["gloss"].fillna("")]
    return signed.assign(gloss=lines).reset_index(drop=True)


def read_gloss_lines(path: Path) -> dict[str, str]:
    """Return the gloss line of every clip of gloss_lines.csv."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return dict(zip(table["clip_id"], table["gloss"], strict=True))


def read_vocabulary(path: Path) -> list[str]:
    """Return the entries of gloss_vocabulary.json in id order.

    Raises SignloomError where ids 0-4 are not the special ones, or there is no gloss after them.
    """
    vocabulary = list(json.loads(path.read_text("utf-8")))
    if vocabulary[: len(SPECIALS)] != SPECIALS:
        raise SignloomError(f"{path} begins with {vocabulary[:5]}, not {SPECIALS}; build stage text again")
    if len(vocabulary) == len(SPECIALS):
        raise SignloomError(f"{path}: no gloss in the training split; fill the gloss column of the table")
    return vocabulary
