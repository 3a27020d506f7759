"""Tables of our own form: any folder of clips with a CSV, and ready-made features with their metadata."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from signloom.dataset.forms.tables import need, read_table
from signloom.dataset.forms.texts import one_form, sentence_number
from signloom.errors import SignloomError


def read_csv_form(files: list[Path], videos: Path) -> pd.DataFrame:
    """Any folder of videos with a table: `video` and a `sentence` or a `gloss`; the rest is optional.

    A row without `sentence_id` takes that of a row with the same text, or a number made from the text: the
    sentence, or the gloss line where there is none. So two clips of one gloss line have one id.
    `gloss_times` is a JSON list of [start_s, end_s], one pair a gloss, seconds from the clip's start.
    """
    (table,) = files
    rows = read_table(table)
    need(table, rows, ["video"])
    if "sentence" not in rows and "gloss" not in rows:
        raise SignloomError(f"{table}: no column `sentence` and no column `gloss`; one of them is needed")
    for column in ("sentence", "gloss", "sentence_id"):
        if column not in rows:
            rows[column] = ""
    texts = [one_form(s) or one_form(g) for s, g in zip(rows["sentence"], rows["gloss"], strict=True)]
    numbers = [number.strip() for number in rows["sentence_id"]]
    known = {text: number for text, number in zip(texts, numbers, strict=True) if text and number}
    rows["sentence_id"] = [
        number or (known.get(text, str(sentence_number(text))) if text else "-1")
        for text, number in zip(texts, numbers, strict=True)
    ]
    return rows


def read_processed(files: list[Path], videos: Path) -> pd.DataFrame:
    """`processed_metadata.csv` beside ready `.npy` features of shape (T, 540): a clip is its feature file."""
    (table,) = files
    rows = read_table(table)
    need(table, rows, ["feature_path", "sentence_id", "sentence"])
    return rows.drop(columns=["video"], errors="ignore").rename(columns={"feature_path": "video"})
