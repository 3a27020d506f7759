"""Importers turn annotation tables into rows of one form; they are registered by name, one per format.

Every importer returns a table with the columns `COLUMNS`; `row` is the line in the source file. Values are
strings as in the source ("" for a missing one). All pass one gate here (`row_gate`), and the manifest checks
what they say. A row with a gloss line but no sentence takes the sentence of another
row with the same `sentence_id`, or else its own gloss line.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from signloom.cells import shown
from signloom.dataset.consent import stated
from signloom.dataset.forms import boston104, phoenix, word_lists
from signloom.dataset.forms.bobsl import bobsl_files, read_bobsl
from signloom.dataset.forms.elan import read_elan
from signloom.dataset.forms.fairseq import read_fairseq
from signloom.dataset.forms.folders import read_folders
from signloom.dataset.forms.general import read_csv_form, read_processed
from signloom.dataset.forms.likely import likely
from signloom.dataset.forms.mapped import form_files, join_file, read_mapped
from signloom.dataset.forms.mapping import Form, read_form, shipped
from signloom.dataset.forms.signtalk import read_signtalk, read_signtalk_sampled
from signloom.dataset.forms.subtitles import SUFFIXES, read_subtitles
from signloom.dataset.forms.video_files import on_disk
from signloom.dataset.row_gate import PROBLEM, passed
from signloom.dataset.row_tables import split_key
from signloom.dataset.withdrawn import are_withdrawn, withdrawn_from
from signloom.errors import SignloomError
from signloom.gate import is_hidden
from signloom.params.dataset import DatasetParams, ElanTiers


class Importer(NamedTuple):
    """A format's reader: of one table, of files `names` or `found` in one folder, or of all with a suffix."""

    read: Callable[[list[Path], Path], pd.DataFrame]
    names: Sequence[str] = ()
    suffixes: Sequence[str] = ()
    found: Callable[[Path], list[Path]] | None = None
    searches: bool = False  # a clip may lie in more places than the one that its row names


IMPORTERS: dict[str, Importer] = {
    "csv": Importer(read_csv_form),
    "signtalk": Importer(read_signtalk),
    "signtalk_sampled": Importer(read_signtalk_sampled),
    "processed": Importer(read_processed),
    "phoenix2014": Importer(phoenix.read_phoenix2014, phoenix.FILES_2014),
    "phoenix2014t": Importer(phoenix.read_phoenix2014t, phoenix.FILES_2014T),
    "boston104": Importer(boston104.read_boston104, boston104.FILES),
    "wlasl": Importer(word_lists.read_wlasl, searches=True),
    "msasl": Importer(word_lists.read_msasl, word_lists.FILES_MSASL, searches=True),
    "elan": Importer(partial(read_elan, persons=[], warnings=[]), suffixes=[".eaf"], searches=True),
    "subtitles": Importer(read_subtitles, suffixes=SUFFIXES, searches=True),
    "bobsl": Importer(read_bobsl, found=bobsl_files),
    "folders": Importer(partial(read_folders, warnings=[]), searches=True),
    "fairseq": Importer(partial(read_fairseq, frame_rate=None), suffixes=[".tsv"], searches=True),
}


def annotation_sources(importer: str, table: Path) -> list[Path]:
    """Return what the engines watch for `table`: the annotation files, or their folder, and an own form.

    Raises SignloomError as `annotation_files` does.
    """
    own = [Path(importer)] if importer.endswith(".yaml") else []
    known = IMPORTERS.get(importer)
    if known and table.exists() and (known.found or (known.suffixes and table.is_dir())):
        return [_folder(table)]
    return [*annotation_files(importer, table), *own]


def searched_folders(importer: str, videos: Path) -> list[Path]:
    """Return the folders in which a new file may be a new clip: those below `videos`, or none.

    Raises SignloomError if a form cannot be read.
    """
    known = IMPORTERS.get(importer)
    searches = known.searches if known else len(_form(importer).columns["video"].texts) > 1
    return [Path(name) for name, _, _ in os.walk(videos)] if searches else []


def annotation_files(importer: str, table: Path) -> list[Path]:
    """Return the files that `importer` reads for `table`: one file, or all annotation files of a folder.

    Then `table` is the folder or one of its files. Raises SignloomError if one of the files is missing, if a
    folder holds none, or if `table` is a file with another name.
    """
    if not table.exists():
        raise SignloomError(f"dataset.table: {table} does not exist")
    if importer not in IMPORTERS:
        form = _form(importer)
        return _present([*form_files(form, table), *join_file(form, table)])
    _, names, suffixes, found_in, _ = IMPORTERS[importer]
    if found_in:
        return found_in(_folder(table))
    if suffixes and table.is_dir():
        files = (file for file in table.rglob("*") if file.suffix.lower() in suffixes)
        found = sorted(file for file in files if not is_hidden(file.relative_to(table)))
        if not found:
            raise SignloomError(f"dataset.table: {table} holds no {' or '.join(suffixes)} file")
        return found
    if not names:
        return [table]
    if table.is_file() and table.name not in names:
        raise SignloomError(f"dataset.table: {table}: expected a folder or one of {', '.join(names)}")
    return _present([_folder(table) / name for name in names])


def _folder(table: Path) -> Path:
    return table if table.is_dir() else table.parent


def _present(files: list[Path]) -> list[Path]:
    for file in files:
        if not file.is_file() and not file.is_dir():
            names = ", ".join(file.name for file in files)
            raise SignloomError(f"dataset.table: {file} is missing; expected {names} in {file.parent}")
    return files


def _form(name: str) -> Form:
    return read_form(shipped().get(name, Path(name)))


def load_rows(dataset: DatasetParams, warnings: list[str] | None = None) -> pd.DataFrame:
    """Return the rows of the table of `dataset` without those of withdrawn clips; see `load_table`."""
    rows = all_rows(dataset, warnings)
    out = are_withdrawn(rows, withdrawn_from(dataset.table))
    return rows[~out].reset_index(drop=True)


def all_rows(dataset: DatasetParams, warnings: list[str] | None = None) -> pd.DataFrame:
    """Return the rows of the table of `dataset`, withdrawn clips included; see `load_table`."""
    table, videos = Path(dataset.table), Path(dataset.videos)
    return load_table(dataset.importer, table, videos, dataset.elan, dataset.frame_rate, warnings)


def load_table(
    importer: str,
    table: Path,
    videos: Path,
    elan: Sequence[ElanTiers] = (),
    frame_rate: float | None = None,
    warnings: list[str] | None = None,
) -> pd.DataFrame:
    """Return the rows of `table` as the importer called `importer` reads them.

    Adds a line to `warnings` for whatever annotations or clips are left out as a whole.
    Raises SignloomError if the table is missing, unreadable or lacks a column. If the table looks like one of
    another form, the error says only this.
    """
    try:
        rows = _read(importer, table, videos, elan, frame_rate, warnings)
        rows = passed(stated(rows), videos)
        rows["video"] = [_on_disk(videos, video) for video in rows["video"]]
    except OSError as error:  # such as a whole sentence in place of a file name
        place = f"{str(error.filename)[:200]!r}"
        raise SignloomError(f"dataset.table: {table}: {place}: {error.strerror}") from error
    except UnicodeEncodeError as error:
        name = shown(str(error.object))
        raise SignloomError(f"dataset.table: {table}: the file name {name} is no text; rename it") from error
    rows["sentence"] = _sentences(rows)
    return rows


def _on_disk(videos: Path, video: str) -> str:
    """Return `video`, or the table that it is a clip of, as the disk writes it, below `videos`."""
    if Path(video).is_absolute():
        inside = [
            root for root in (videos, videos.absolute(), videos.resolve()) if Path(video).is_relative_to(root)
        ]
        video = Path(video).relative_to(inside[0]).as_posix() if inside else video
    found = on_disk(videos, video)
    clip = split_key(Path(video)) if found == video else None
    return f"{on_disk(videos, clip[0].as_posix())}#{clip[1]}" if clip else found


def _read(
    importer: str,
    table: Path,
    videos: Path,
    elan: Sequence[ElanTiers],
    frame_rate: float | None,
    warnings: list[str] | None,
) -> pd.DataFrame:
    """Return what the importer returns; raises SignloomError as `load_table` does."""
    try:
        rows = _reader(importer, elan, frame_rate, warnings)(annotation_files(importer, table), videos)
    except SignloomError as error:
        if other := likely(table, importer):
            raise SignloomError(f"dataset.table: {table} {other}") from error
        raise
    # a folder of another corpus may hold subtitles too
    if (rows.empty or importer == "subtitles") and (other := likely(table, importer)):
        raise SignloomError(f"dataset.table: {table} {other}")
    return rows


def _reader(
    importer: str, elan: Sequence[ElanTiers], frame_rate: float | None, warnings: list[str] | None
) -> Callable[[list[Path], Path], pd.DataFrame]:
    said = [] if warnings is None else warnings
    if importer == "elan":
        return partial(read_elan, persons=list(elan), warnings=said)
    if importer == "folders":
        return partial(read_folders, warnings=said)
    if importer == "fairseq":
        return partial(read_fairseq, frame_rate=frame_rate)
    return IMPORTERS[importer].read if importer in IMPORTERS else partial(read_mapped, _form(importer))


def _sentences(rows: pd.DataFrame) -> list[str]:
    """Return the sentence of every row; the module docstring says how rows without a sentence get one."""
    by_id: dict[str, str] = {}
    for number, sentence, problem in zip(rows["sentence_id"], rows["sentence"], rows[PROBLEM], strict=True):
        if sentence and not problem:
            by_id.setdefault(number.strip(), sentence)
    return [
        sentence or (by_id.get(number.strip(), gloss) if gloss else "")
        for number, sentence, gloss in zip(rows["sentence_id"], rows["sentence"], rows["gloss"], strict=True)
    ]
