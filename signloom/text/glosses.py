"""Files of stage text: gloss lines with signers and gloss times, and the gloss vocabulary."""

import json
from pathlib import Path

import pandas as pd

from signloom.errors import SignloomError
from signloom.files import read_csv
from signloom.text.vocabulary import SPECIALS

COLUMNS = ["clip_id", "gloss", "signer_id", "gloss_times"]


def gather_gloss_lines(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return `COLUMNS` of every signed clip, sorted by clip; glosses are separated by one space.

    `metadata` needs `COLUMNS` and `sentence_id`; gloss line, signer and times may be empty.
    """
    signed = metadata.loc[metadata["sentence_id"] >= 0, COLUMNS].fillna("").sort_values("clip_id")
    lines = [" ".join(line.split()) for line in signed["gloss"]]
    return signed.assign(gloss=lines).reset_index(drop=True)


def read_gloss_lines(path: Path) -> pd.DataFrame:
    """Return gloss_lines.csv by `clip_id`, all columns as strings; an empty cell is "".

    Raises SignloomError if a column is missing.
    """
    table = read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise SignloomError(f"{path} has no column {', '.join(missing)}; build stage text again")
    return table.set_index("clip_id")


def gloss_times(text: str) -> list[tuple[float, float]]:
    """Return start and end (exclusive) of every gloss in seconds from the clip's start, or [] if unknown.

    `text` is a cell of column `gloss_times`; stage manifest has checked it against the gloss line.
    """
    return [(float(start), float(end)) for start, end in json.loads(text)] if text else []


def read_vocabulary(path: Path) -> list[str]:
    """Return the entries of gloss_vocabulary.json in id order.

    Raises SignloomError if ids 0-4 are not the special tokens, or if no gloss follows them.
    """
    vocabulary = list(json.loads(path.read_text("utf-8")))
    if vocabulary[: len(SPECIALS)] != SPECIALS:
        raise SignloomError(f"{path} starts with {vocabulary[:5]}, not {SPECIALS}; build stage text again")
    if len(vocabulary) == len(SPECIALS):
        raise SignloomError(f"{path}: no gloss in the training split; fill the gloss column of the table")
    return vocabulary
