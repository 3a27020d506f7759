"""Importers turn annotation tables into rows of one form; they are registered by name, one per format.

Every importer returns a table with the columns `COLUMNS`; `row` is the line in the source file. Values are
strings as in the source ("" for a missing one); the manifest checks them. Sentences and gloss lines are
normalised here (NFC, single spaces). A row with a gloss line but no sentence takes the sentence of another
row with the same `sentence_id`, or else its own gloss line.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from signloom.dataset.forms import boston104, phoenix
from signloom.dataset.forms.general import read_csv_form, read_processed
from signloom.dataset.forms.signtalk import read_signtalk, read_signtalk_sampled
from signloom.dataset.forms.texts import one_form
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
]
COLUMNS = ["row", "video", *ANNOTATIONS]


class Importer(NamedTuple):
    """A format's reader, which reads one table or the files `names` of one folder."""

    read: Callable[[list[Path], Path], pd.DataFrame]
    names: Sequence[str] = ()


IMPORTERS: dict[str, Importer] = {
    "csv": Importer(read_csv_form),
    "signtalk": Importer(read_signtalk),
    "signtalk_sampled": Importer(read_signtalk_sampled),
    "processed": Importer(read_processed),
    "phoenix2014": Importer(phoenix.read_phoenix2014, phoenix.FILES_2014),
    "phoenix2014t": Importer(phoenix.read_phoenix2014t, phoenix.FILES_2014T),
    "boston104": Importer(boston104.read_boston104, boston104.FILES),
}


def annotation_files(importer: str, table: Path) -> list[Path]:
    """Return the files that `importer` reads for `table`: one file, or all annotation files of a folder.

    Then `table` is the folder or one of its files. Raises SignloomError if one of the files is missing, or if
    `table` is a file with another name.
    """
    if not table.exists():
        raise SignloomError(f"dataset.table: {table} does not exist")
    names = IMPORTERS[importer].names
    if not names:
        return [table]
    if table.is_file() and table.name not in names:
        raise SignloomError(f"dataset.table: {table}: expected a folder or one of {', '.join(names)}")
    folder = table if table.is_dir() else table.parent
    files = [folder / name for name in names]
    for file in files:
        if not file.is_file():
            raise SignloomError(f"dataset.table: {file} is missing; expected {', '.join(names)} in {folder}")
    return files


def load_table(importer: str, table: Path, videos: Path) -> pd.DataFrame:
    """Return the rows of `table` as the importer called `importer` reads them.

    Raises SignloomError if the table is missing, unreadable or lacks a column.
    """
    rows = IMPORTERS[importer].read(annotation_files(importer, table), videos)
    for column in COLUMNS:
        if column not in rows:
            rows[column] = ""
    rows = rows[COLUMNS].reset_index(drop=True)
    for column in ("sentence", "gloss"):
        rows[column] = [one_form(text) for text in rows[column]]
    rows["sentence"] = _sentences(rows)
    return rows


def _sentences(rows: pd.DataFrame) -> list[str]:
    """Return the sentence of every row; the module docstring says how rows without a sentence get one."""
    by_id: dict[str, str] = {}
    for number, sentence in zip(rows["sentence_id"], rows["sentence"], strict=True):
        if sentence:
            by_id.setdefault(number.strip(), sentence)
    return [
        sentence or (by_id.get(number.strip(), gloss) if gloss else "")
        for number, sentence, gloss in zip(rows["sentence_id"], rows["sentence"], rows["gloss"], strict=True)
    ]
