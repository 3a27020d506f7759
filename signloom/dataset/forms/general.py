"""Signloom's own table formats: a folder of clips with a CSV, and ready-made features with their metadata."""

import difflib
import re
from pathlib import Path

import pandas as pd

from signloom.dataset.consent import named, stated
from signloom.dataset.forms.table_files import read_table
from signloom.dataset.forms.texts import id_numbers, one_form, sentence_ids
from signloom.dataset.forms.time_columns import refuse_times
from signloom.errors import SignloomError

# the columns that describe a clip; the manifest keeps these names
ANNOTATIONS = [
    "start_s",
    "end_s",
    "sentence_id",
    "sentence",
    "gloss",
    "gloss_times",
    "category",
    "signer_id",
    "split",
    "text_variations",
    "consent",
    "until",
]
COLUMNS = ["row", "video", *ANNOTATIONS]
# what people call them, and what a slip of the finger does not reach
_MEANT = {
    "signer": "signer_id",
    "glosses": "gloss",
    "speaker": "signer_id",
    "start": "start_s",
    "end": "end_s",
}
# what may also hold something else, such as a day
_TIMES = {
    **dict.fromkeys(("start_time", "start_sec", "begin"), "start_s"),
    **dict.fromkeys(("end_time", "end_sec", "finish"), "end_s"),
}
_NEAR = 0.85  # of difflib: `sentence-id` and `signerid` are near, `gloss_id` and `gloss` are not


def read_csv_form(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read a table with the columns `video` and `sentence` or `gloss`; all other columns are optional.

    A row without `sentence_id` takes the id of another row with the same text, or else a number made from the
    text. The text is the sentence, or the gloss line if there is no sentence. Where all ids are names, each
    becomes a number.
    `consent` and `until` are as in `signloom.dataset.consent`.
    `gloss_times` is a JSON list of [start_s, end_s], one pair per gloss, in seconds from the clip's start.
    """
    (table,) = files
    rows = read_table(table, ["video"], short=True)
    check_names(table, [str(name) for name in rows], rows)
    if not {"start_s", "end_s"} & {*rows}:
        refuse_times(table, rows.drop(columns=[name for name in COLUMNS if name in rows]))
    if "sentence" not in rows and "gloss" not in rows:
        raise SignloomError(f"{table}: column `sentence` or `gloss` is missing; add at least one of them")
    for column in ("sentence", "gloss", "sentence_id"):
        if column not in rows:
            rows[column] = ""
    texts = [one_form(s) or one_form(g) for s, g in zip(rows["sentence"], rows["gloss"], strict=True)]
    # a column with empty cells comes out of pandas as 1.0
    numbers = [re.sub(r"^(\d+)\.0+$", r"\1", number.strip()) for number in rows["sentence_id"]]
    if pd.to_numeric(pd.Series(numbers), errors="coerce").isna().all():  # a single name is a slip
        # one name alone for several texts marks what is missing, such as NA
        missing = len({*numbers}) == 1 < len({*texts})
        numbers = [""] * len(numbers) if missing else id_numbers(numbers)
    rows["sentence_id"] = sentence_ids(numbers, texts)
    return stated(rows)


def check_names(table: Path, names: list[str], rows: pd.DataFrame) -> None:
    """Raise SignloomError for a column of `rows` that is not read, nearly called like a missing one."""
    missing = [name for name in COLUMNS if name not in names]
    for name in names:
        if _TIMES.get(name.lower()) in missing and name in rows and _are_numbers(rows[name]):
            meant = _TIMES[name.lower()]
            raise SignloomError(
                f"dataset.table: {table}: column `{name}` is not read; did you mean `{meant}`? rename it"
            )
        close = difflib.get_close_matches(name.lower(), missing, n=1, cutoff=_NEAR)
        meant = _MEANT.get(name.lower(), close[0] if close else "")
        if name not in COLUMNS and meant in missing:
            raise SignloomError(
                f"dataset.table: {table}: column `{name}` is not read; did you mean `{meant}`? rename it"
            )


def _are_numbers(cells: pd.Series) -> bool:
    """Return whether some cells are numbers and all others empty."""
    filled = cells[cells.str.strip() != ""]
    return bool(len(filled) and pd.to_numeric(filled, errors="coerce").notna().all())


def read_processed(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read `processed_metadata.csv`, in which every clip is a file of feature rows."""
    (table,) = files
    rows = named(read_table(table, ["feature_path", "sentence_id", "sentence"], short=True))
    return rows.drop(columns=["video"], errors="ignore").rename(columns={"feature_path": "video"})
