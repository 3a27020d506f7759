"""Annotation tables to rows of one form; a registry by name, one function a form.

Every importer returns a table with the columns `COLUMNS`; `row` is the line of the source that a person would
look at. Values are strings as they stand in the source ("" where there is none); the manifest checks them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from signloom.errors import SignloomError

COLUMNS = [
    "row",
    "video",
    "start_s",
    "end_s",
    "sentence_id",
    "sentence",
    "gloss",
    "category",
    "signer_id",
    "split",
    "text_variations",
]

Importer = Callable[[Path, Path], pd.DataFrame]


def load_table(importer: str, table: Path, videos: Path) -> pd.DataFrame:
    """Return the rows of `table` as the importer called `importer` reads them.

    Raises SignloomError where the table is missing, unreadable or lacks a column.
    """
    if not table.exists():
        raise SignloomError(f"dataset.table: {table} does not exist")
    rows = IMPORTERS[importer](table, videos)
    for column in COLUMNS:
        if column not in rows:
            rows[column] = ""
    return rows[COLUMNS].reset_index(drop=True)


def sentence_number(sentence: str) -> int:
    """Return a stable positive id for a sentence that has none in its table."""
    return zlib.crc32(" ".join(sentence.split()).encode()) & 0x7FFFFFFF


def _csv(table: Path, videos: Path) -> pd.DataFrame:
    """Any folder of videos with a table: `video` and a `sentence` or a `gloss`; the rest is optional."""
    rows = _read(table)
    _need(table, rows, ["video"])
    if "sentence" not in rows and "gloss" not in rows:
        raise SignloomError(f"{table}: no column `sentence` and no column `gloss`; one of them is needed")
    if "sentence_id" not in rows:
        rows["sentence_id"] = [
            str(sentence_number(s)) if s else "-1" for s in rows.get("sentence", rows["video"])
        ]
    return rows


def _signtalk(table: Path, videos: Path) -> pd.DataFrame:
    """`<id><A-Z>.mp4` videos with a workbook whose Sheet1 has Sentence ID, Sentence, Text (= category)."""
    sheet = pd.read_excel(table, sheet_name="Sheet1", dtype=str).fillna("")
    _need(table, sheet, ["Sentence ID", "Sentence", "Text"])
    sheet["key"] = [_whole(value) for value in sheet["Sentence ID"]]
    by_key = sheet.drop_duplicates("key").set_index("key")
    found = []
    for row, file in enumerate(sorted(path for path in videos.glob("*") if path.is_file()), start=1):
        name = re.fullmatch(r"(\d+)([A-Z]?)", file.stem)
        key = _whole(name[1]) if name else ""
        known = key in by_key.index
        found.append(
            {
                "row": row,
                "video": file.name,
                "sentence_id": key if known else "no sentence in the table",
                "sentence": by_key.loc[key, "Sentence"] if known else "",
                "category": by_key.loc[key, "Text"] if known else "",
            }
        )
    return pd.DataFrame(found, columns=["row", "video", "sentence_id", "sentence", "category"])


def _signtalk_sampled(table: Path, videos: Path) -> pd.DataFrame:
    """`video_file,sentence_id,sentence,category,variant`."""
    rows = _read(table)
    _need(table, rows, ["video_file", "sentence_id", "sentence", "category"])
    return rows.rename(columns={"video_file": "video"})


def _processed(table: Path, videos: Path) -> pd.DataFrame:
    """`processed_metadata.csv` beside ready `.npy` features of shape (T, 540): a clip is its feature file."""
    rows = _read(table)
    _need(table, rows, ["feature_path", "sentence_id", "sentence"])
    return rows.drop(columns=["video"], errors="ignore").rename(columns={"feature_path": "video"})


IMPORTERS: dict[str, Importer] = {
    "csv": _csv,
    "signtalk": _signtalk,
    "signtalk_sampled": _signtalk_sampled,
    "processed": _processed,
}


def _read(table: Path) -> pd.DataFrame:
    """Read a .csv, .tsv or .xlsx table as strings; `row` is the line in the file, the header being line 1."""
    if table.suffix.lower() == ".xlsx":
        rows = pd.read_excel(table, dtype=str).fillna("")
    else:
        separator = "\t" if table.suffix.lower() == ".tsv" else ","
        try:
            rows = pd.read_csv(table, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise SignloomError(f"{table}: not a readable UTF-8 table: {error}") from error
    rows.columns = [str(column).strip() for column in rows.columns]
    rows["row"] = range(2, len(rows) + 2)
    return rows


def _need(table: Path, rows: pd.DataFrame, columns: list[str]) -> None:
    missing = [column for column in columns if column not in rows]
    if missing:
        has = ", ".join(str(column) for column in rows.columns if column != "row")
        raise SignloomError(f"{table}: column {missing[0]!r} is missing; the table has: {has}")


def _whole(value: str) -> str:
    """`1000.0`, as spreadsheets give whole numbers, and `0100` become `1000` and `100`."""
    text = value.strip()
    return str(int(float(text))) if re.fullmatch(r"\d+(\.0*)?", text) else text
