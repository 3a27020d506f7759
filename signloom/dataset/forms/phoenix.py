"""RWTH-PHOENIX-Weather 2014 and 2014T: one folder of frames per clip, one annotation file per split.

`dataset.table` is the folder of the three annotation files, or one of them; `dataset.videos` is the folder
`features/fullFrame-210x260px`, which holds train, dev and test. Fields are separated by `|`, and a quote is
an ordinary character.
"""

from pathlib import Path

import pandas as pd

from signloom.dataset.consent import named
from signloom.dataset.forms.table_files import read_text
from signloom.dataset.forms.texts import text_numbers
from signloom.errors import SignloomError

SPLITS = ("train", "dev", "test")
FILES_2014 = [f"{split}.corpus.csv" for split in SPLITS]
FILES_2014T = [f"PHOENIX-2014-T.{split}.corpus.csv" for split in SPLITS]


def read_phoenix2014(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read `id|folder|signer|annotation`, with folder `X/1/*.png`; the gloss line serves as the sentence."""
    rows = _read(files, ["id", "folder", "signer", "annotation"])
    return pd.DataFrame(
        {
            "row": rows["row"],
            "video": rows["split"] + "/" + rows["folder"].map(_folder),
            "sentence_id": text_numbers(rows["annotation"].tolist()),
            "gloss": rows["annotation"],
            "signer_id": rows["signer"],
            "split": rows["split"],
            **_consent(rows),
        }
    )


def read_phoenix2014t(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read `name|video|start|end|speaker|orth|translation`, where orth holds the glosses.

    A clip is a whole folder. Raises SignloomError if start or end is a time: the corpus has -1 there.
    """
    rows = _read(files, ["name", "start", "end", "speaker", "orth", "translation"])
    for row, start, end in zip(rows["row"], rows["start"], rows["end"], strict=True):
        if {start.strip(), end.strip()} - {"-1", ""}:
            raise SignloomError(
                f"{files[0].parent / row}: start {start!r}, end {end!r}: expected -1 for both, because "
                "a clip is a whole folder"
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
            **_consent(rows),
        }
    )


def _read(files: list[Path], columns: list[str]) -> pd.DataFrame:
    """Return the rows of the three files with their `split`; `row` is `<file>:<line>`."""
    tables = []
    for split, file in zip(SPLITS, files, strict=True):
        rows = named(read_text(file, "|", columns, quoted=False))
        tables.append(rows.assign(split=split, row=[f"{file.name}:{line}" for line in rows["row"]]))
    found = pd.concat(tables, ignore_index=True)
    if "consent" in found:  # a file without the column says nothing, which allows everything
        found["consent"] = found["consent"].fillna("all")
    return found.fillna("")


def _consent(rows: pd.DataFrame) -> dict[str, pd.Series]:
    return {name: rows[name] for name in ("consent", "until") if name in rows}


def _folder(pattern: str) -> str:
    """Turn `X/1/*.png` into `X/1`."""
    head, _, tail = pattern.strip().rpartition("/")
    return head if "*" in tail else pattern.strip()
