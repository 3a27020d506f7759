"""Signloom's own table formats: a folder of clips with a CSV, and ready-made features with their metadata."""

from pathlib import Path

import pandas as pd

from signloom.dataset.forms.table_files import read_table
from signloom.dataset.forms.texts import one_form, sentence_ids
from signloom.errors import SignloomError


def read_csv_form(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read a table with the columns `video` and `sentence` or `gloss`; all other columns are optional.

    A row without `sentence_id` takes the id of another row with the same text, or else a number made from the
    text. The text is the sentence, or the gloss line if there is no sentence.
    `gloss_times` is a JSON list of [start_s, end_s], one pair per gloss, in seconds from the clip's start.
    """
    (table,) = files
    rows = read_table(table, ["video"])
    if "sentence" not in rows and "gloss" not in rows:
        raise SignloomError(f"{table}: column `sentence` or `gloss` is missing; add at least one of them")
    for column in ("sentence", "gloss", "sentence_id"):
        if column not in rows:
            rows[column] = ""
    texts = [one_form(s) or one_form(g) for s, g in zip(rows["sentence"], rows["gloss"], strict=True)]
    numbers = [number.strip() for number in rows["sentence_id"]]
    rows["sentence_id"] = sentence_ids(numbers, texts)
    return rows


def read_processed(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read `processed_metadata.csv`, in which every clip is a file of feature rows."""
    (table,) = files
    rows = read_table(table, ["feature_path", "sentence_id", "sentence"])
    return rows.drop(columns=["video"], errors="ignore").rename(columns={"feature_path": "video"})
