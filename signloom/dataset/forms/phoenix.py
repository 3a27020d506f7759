"""RWTH-PHOENIX-Weather 2014 and 2014T: one folder of frames a clip, one annotation file a split.

`dataset.table` is the folder of the three annotation files, or one of them; `dataset.videos` is the folder
`features/fullFrame-210x260px`, which holds train, dev and test. Fields stand between `|`; a quote is a
letter.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from signloom.dataset.forms.tables import need, read_plain
from signloom.dataset.forms.texts import text_numbers
from signloom.errors import SignloomError

SPLITS = ("train", "dev", "test")
FILES_2014 = [f"{split}.corpus.csv" for split in SPLITS]
FILES_2014T = [f"PHOENIX-2014-T.{split}.corpus.csv" for split in SPLITS]


def read_phoenix2014(files: list[Path], videos: Path) -> pd.DataFrame:
    """`id|folder|signer|annotation`, folder `X/1/*.png`: the gloss line stands for the sentence."""
    rows = _read(files, ["id", "folder", "signer", "annotation"])
    return pd.DataFrame(
        {
            "row": rows["row"],
            "video": rows["split"] + "/" + rows["folder"].map(_folder),
            "sentence_id": text_numbers(rows["annotation"].tolist()),
            "gloss": rows["annotation"],
            "signer_id": rows["signer"],
            "split": rows["split"],
        }
    )


def read_phoenix2014t(files: list[Path], videos: Path) -> pd.DataFrame:
    """`name|video|start|end|speaker|orth|translation`: orth are the glosses, a clip is a whole folder.

    Raises SignloomError where start or end is a time: the corpus has -1 there.
    """
    rows = _read(files, ["name", "start", "end", "speaker", "orth", "translation"])
    for row, start, end in zip(rows["row"], rows["start"], rows["end"], strict=True):
        if {start.strip(), end.strip()} - {"-1", ""}:
            raise SignloomError(
                f"{files[0].parent / row}: start {start!r}, end {end!r}: expected -1, as a clip is a folder"
            )
    texts = [
        translation.strip() or orth
        for translation, orth in zip(rows["translation"], rows["orth"], strict=True)
    ]
    return pd.DataFrame(
        {
            "row": rows["row"],
            "video": rows["split"] + "/" + rows["name"].str.strip(),
            "sentence_id": text_numbers(texts),
            "sentence": rows["translation"],
            "gloss": rows["orth"],
            "signer_id": rows["speaker"],
            "split": rows["split"],
        }
    )


def _read(files: list[Path], columns: list[str]) -> pd.DataFrame:
    """Return the rows of the three files with their `split`; `row` is `<file>:<line>`."""
    tables = []
    for split, file in zip(SPLITS, files, strict=True):
        rows = read_plain(file, "|")
        need(file, rows, columns)
        tables.append(rows.assign(split=split, row=[f"{file.name}:{line}" for line in rows["row"]]))
    return pd.concat(tables, ignore_index=True)


def _folder(pattern: str) -> str:
    """`X/1/*.png` to `X/1`."""
    head, _, tail = pattern.strip().rpartition("/")
    return head if "*" in tail else pattern.strip()
