"""Read delimited text and workbooks as strings; every row keeps its line number in the file."""

import csv
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TextIO

import pandas as pd

from signloom.cells import plain
from signloom.console import number_of
from signloom.errors import SignloomError

csv.field_size_limit(2**31 - 1)  # a cell may hold the times of a long gloss line
SHORT = "problem of the row"  # the column that says which rows have too few fields; no table has this name
_SEP = re.compile(r"sep=.", re.IGNORECASE)
# raised for a missing sheet, a file that is no archive, one that is encrypted or packed in an unknown way,
# and damaged archives, XML and cells
_BAD_WORKBOOK = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, EOFError, SyntaxError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error),
)


def read_table(table: Path, columns: list[str], short: bool = False) -> pd.DataFrame:
    """Read a .csv, .tsv or .xlsx table as strings; `row` is the line in the file, and the header is line 1.

    With `short`, rows with too few fields are kept, and the column `SHORT` says so. The apostrophe with which
    a spreadsheet keeps a formula from running is left out. Raises SignloomError with file and line if the
    table cannot be read or lacks one of `columns`.
    """
    if table.suffix.lower() == ".xlsx":
        rows = read_workbook(table, 0, columns)
        rows["row"] = range(2, len(rows) + 2)
        # spreadsheets leave empty rows
        return rows[(rows.drop(columns="row") != "").any(axis=1)].reset_index(drop=True)
    usual = "\t" if table.suffix.lower() == ".tsv" else ","
    return read_text(table, _separator(table, usual, columns), columns, short=short)


def found_separator(table: Path) -> str:
    """Return the character that separates the fields of the first line: the commonest of tab, | ; ,"""
    line = first_line(table)
    return max("\t|;,", key=line.count) if any(mark in line for mark in "\t|;,") else ","


def first_line(table: Path) -> str:
    """Return the first line of a text file without its end and byte-order mark; "" if it is no text.

    A line `sep=;`, with which a spreadsheet is told the separator, does not count.
    """
    try:
        with table.open(encoding="utf-8-sig") as file:
            line = file.readline(100_000).rstrip("\n")
            return file.readline(100_000).rstrip("\n") if _SEP.fullmatch(line) else line
    except (OSError, UnicodeDecodeError):
        return ""


def _separator(table: Path, usual: str, columns: list[str]) -> str:
    """Return `usual`, or the one of the first line if that shows all `columns`, or has no usual one."""
    found, line = found_separator(table), first_line(table)
    names = {name.strip().strip('"') for name in line.split(found)}
    return found if columns and (names >= set(columns) or usual not in line) else usual


def read_workbook(table: Path, sheet: str | int, columns: list[str]) -> pd.DataFrame:
    """Read one sheet of a workbook, which must have `columns`, as strings; an empty cell is ""."""
    try:
        rows = pd.read_excel(table, sheet_name=sheet, dtype=str, keep_default_na=False).fillna("")
        _fill_merged(table, sheet, rows)
    except _BAD_WORKBOOK as error:
        raise SignloomError(f"{table}: not a readable workbook: {error}") from error
    rows.columns = [str(column).strip() for column in rows.columns]
    rows = rows.map(plain)
    need_columns(table, rows, columns)
    return rows


def _fill_merged(table: Path, sheet: str | int, rows: pd.DataFrame) -> None:
    """Give every row of a merged cell its value, which the file has in the first one alone."""
    with zipfile.ZipFile(table) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        if not any(b"<mergeCell " in archive.read(name) for name in sheets):
            return  # reading a workbook once more takes as long again
    from openpyxl import load_workbook

    book = load_workbook(table)
    found = book.worksheets[sheet] if isinstance(sheet, int) else book[sheet]
    for cells in found.merged_cells.ranges:
        # the first line of the sheet has the names
        first, last, column = cells.min_row - 2, cells.max_row - 2, cells.min_col - 1
        if 0 <= first < len(rows) and column < rows.shape[1]:
            rows.iloc[first : last + 1, column] = rows.iloc[first, column]


def need_columns(table: Path, rows: pd.DataFrame, columns: list[str]) -> None:
    """Raise SignloomError if `rows` lacks one of `columns`."""
    missing = [column for column in columns if column not in rows]
    if missing:
        has = ", ".join(str(column) for column in rows.columns if column not in ("row", SHORT))
        raise SignloomError(f"{table}: column {missing[0]!r} is missing; the table has: {has}")


def read_text(
    table: Path,
    separator: str,
    columns: list[str],
    quoted: bool = True,
    header: Sequence[str] = (),
    short: bool = False,
) -> pd.DataFrame:
    """Read fields separated by `separator`; if they are never quoted, a quote is an ordinary character.

    A table without a line of names needs them as `header`. `short` and errors are those of `read_table`.
    """
    if not table.is_file():
        found = "a folder" if table.is_dir() else "no file"
        raise SignloomError(f"{table}: expected a table file, found {found}")
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = _lines(table, file, separator, quoted, header, short)
    except UnicodeDecodeError as error:
        line = _undecodable_line(table)
        raise SignloomError(f"{table}: line {line} is no UTF-8 text; save the file as CSV UTF-8") from error
    need_columns(table, rows, columns)
    return rows


def _undecodable_line(table: Path) -> int:
    """Return the first line of a file that is not UTF-8, counted from 1."""
    with table.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def without_rows(table: Path, rows: set[int], columns: Sequence[str]) -> str:
    """Return the text of a .csv or .tsv table without `rows`, as `read_table` numbers them.

    All other lines stay as they are; `columns` are some that it has. Raises SignloomError if the table cannot
    be read.
    """
    usual = "\t" if table.suffix.lower() == ".tsv" else ","
    separator = _separator(table, usual, [*columns])
    try:
        with table.open(encoding="utf-8", newline="") as file:
            lines = list(file)
        reader, kept, line = csv.reader(iter(lines), delimiter=separator, strict=True), "", 0
        for _ in reader:
            if line + 1 not in rows:
                kept += "".join(lines[line : reader.line_num])
            line = reader.line_num
    except (UnicodeDecodeError, csv.Error) as error:
        raise SignloomError(f"{table}: not a readable table: {error}") from error
    return kept


def _lines(
    table: Path, file: TextIO, separator: str, quoted: bool, names: Sequence[str], short: bool
) -> pd.DataFrame:
    """Read delimited text; a line with too many fields is an error, because its values may have shifted."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter=separator, strict=True, quoting=quoting)
    rows: list[list[str | int]] = []
    try:
        header = [*names] or [name.strip() for name in next(reader, [])]
        if _SEP.fullmatch(separator.join(header)):
            header = [name.strip() for name in next(reader, [])]
        named = max((place for place, name in enumerate(header, 1) if name), default=0)
        line = reader.line_num + 1
        for fields in reader:
            problem = _problem(len(fields), named, len(header), quoted)
            if problem and (len(fields) > len(header) or not short):
                raise SignloomError(f"{table}: line {line} {problem}")
            if any(field.strip() for field in fields):  # spreadsheets leave empty rows
                cells = [plain(field) if quoted else field for field in fields]
                rows.append([*cells, *[""] * (len(header) - len(fields)), line, problem])
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
    found = pd.DataFrame(rows, columns=[*header, "row of the file", SHORT])
    # ignore columns without a name and a column called `row`
    found = found.drop(columns=["", "row", *([] if short else [SHORT])], errors="ignore")
    return found.rename(columns={"row of the file": "row"})


def _problem(fields: int, named: int, columns: int, quoted: bool) -> str:
    """Return what is wrong with a row of so many `fields`, "" if it is right or empty."""
    count = f"has {number_of(fields, 'field', 'fields')} but the table has {columns} columns"
    if fields > columns:
        how = "put text that contains the separator in double quotes" if quoted else "expected as many fields"
        return f"{count}; {how}"
    return f"{count}; an empty cell needs its separator too" if 0 < fields < named else ""
