"""Annotation tables to rows of one form; a registry by name, one function a form.

Every importer returns a table with the columns `COLUMNS`; `row` is the line of the source that a person would
look at. Values are strings as they stand in the source ("" where there is none); the manifest checks them.
Two things are done to the texts here: sentences and gloss lines get one form (NFC, single spaces), and a row
with a gloss line but no sentence takes the sentence that the table has for its `sentence_id` in another row,
or else the gloss line itself.
"""

from __future__ import annotations

import csv
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

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

# what a missing sheet, a file that is no archive and a damaged archive or XML raise
_BAD_WORKBOOK = (ValueError, KeyError, OSError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error)


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
    rows = rows[COLUMNS].reset_index(drop=True)
    for column in ("sentence", "gloss"):
        rows[column] = [one_form(text) for text in rows[column]]
    rows["sentence"] = _sentences(rows)
    return rows


def one_form(text: str) -> str:
    """Return `text` with composed characters (NFC) and single spaces: equal texts are equal strings."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def sentence_number(sentence: str) -> int:
    """Return a stable positive id for a sentence or gloss line that has none in its table."""
    return zlib.crc32(one_form(sentence).encode()) & 0x7FFFFFFF


def _sentences(rows: pd.DataFrame) -> list[str]:
    """Return the sentence of every row; see the module for rows that have a gloss line alone."""
    by_id: dict[str, str] = {}
    for number, sentence in zip(rows["sentence_id"], rows["sentence"], strict=True):
        if sentence:
            by_id.setdefault(number.strip(), sentence)
    return [
        sentence or (by_id.get(number.strip(), gloss) if gloss else "")
        for number, sentence, gloss in zip(rows["sentence_id"], rows["sentence"], rows["gloss"], strict=True)
    ]


def _csv(table: Path, videos: Path) -> pd.DataFrame:
    """Any folder of videos with a table: `video` and a `sentence` or a `gloss`; the rest is optional.

    A row without `sentence_id` takes that of a row with the same text, or a number made from the text: the
    sentence, or the gloss line where there is none. So two clips of one gloss line have one id.
    """
    rows = _read(table)
    _need(table, rows, ["video"])
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


def _signtalk(table: Path, videos: Path) -> pd.DataFrame:
    """`<id><A-Z>.mp4` videos with a workbook whose Sheet1 has Sentence ID, Sentence, Text (= category)."""
    sheet = _workbook(table, "Sheet1")
    _need(table, sheet, ["Sentence ID", "Sentence", "Text"])
    by_key = _by_sentence_id(table, sheet)
    found = []
    for row, file in enumerate(sorted(path for path in videos.glob("*") if path.is_file()), start=1):
        name = re.fullmatch(r"(\d+)([A-Z]?)", file.stem)
        key = _whole(name[1]) if name else ""
        sentence, category = by_key.get(key, ("", ""))
        number = key if key in by_key else "no sentence in the table"
        found.append((row, file.name, number, sentence, category))
    return pd.DataFrame(found, columns=["row", "video", "sentence_id", "sentence", "category"])


def _by_sentence_id(table: Path, sheet: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return sentence and category by id; SignloomError where two lines of the sheet disagree about an id."""
    found: dict[str, tuple[str, str]] = {}
    lines = sheet[["Sentence ID", "Sentence", "Text"]].itertuples(index=False)
    for line, (number, sentence, category) in enumerate(lines, start=2):
        key, value = _whole(number), (one_form(sentence), category.strip())
        # a line without an id belongs to no video
        if key and found.setdefault(key, value) != value:
            raise SignloomError(
                f"{table}: Sheet1, line {line}: Sentence ID {key} stands for {value} and, in a line "
                f"above, for {found[key]}; give each sentence an id of its own"
            )
    return found


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
        rows = _workbook(table, 0)
        rows["row"] = range(2, len(rows) + 2)
        return rows
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            return _lines(table, file)
    except UnicodeDecodeError as error:
        raise SignloomError(f"{table}: not a readable UTF-8 table: {error}") from error


def _lines(table: Path, file: TextIO) -> pd.DataFrame:
    """Read delimited text; a line with fields to spare is an error, as every field may have moved."""
    reader = csv.reader(file, delimiter="\t" if table.suffix.lower() == ".tsv" else ",", strict=True)
    rows: list[list[str | int]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        line = reader.line_num + 1
        for fields in reader:
            if len(fields) > len(header):
                raise SignloomError(
                    f"{table}: line {line} has {len(fields)} fields but the table has {len(header)} columns; "
                    "put a text that holds the separator in double quotes"
                )
            if fields:
                rows.append([*fields, *[""] * (len(header) - len(fields)), line])
            line = reader.line_num + 1
    except csv.Error as error:
        raise SignloomError(
            f"{table}: line {reader.line_num} is not a readable table row: {error}"
        ) from error
    if not header:
        raise SignloomError(f"{table}: the table is empty; its first line must name the columns")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise SignloomError(f"{table}: two columns are called {twice[0]!r}")
    found = pd.DataFrame(rows, columns=[*header, "row of the file"])
    # a column without a name, or one that is called `row`, tells us nothing
    found = found.drop(columns=["", "row"], errors="ignore")
    return found.rename(columns={"row of the file": "row"})


def _workbook(table: Path, sheet: str | int) -> pd.DataFrame:
    """Read one sheet of a workbook as strings, "" where a cell is empty."""
    try:
        rows = pd.read_excel(table, sheet_name=sheet, dtype=str, keep_default_na=False).fillna("")
    except _BAD_WORKBOOK as error:
        raise SignloomError(f"{table}: not a readable workbook: {error}") from error
    rows.columns = [str(column).strip() for column in rows.columns]
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
