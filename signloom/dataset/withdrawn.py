"""The list of withdrawn clips, beside the table: `withdrawn.csv`, or `mine.withdrawn.csv` of a folder mine.

A row names a clip (`clip_id`), or all clips of a signer (`signer_id` without `clip_id`). The command
`signloom withdraw` writes it; its rows are left out of the table whenever that is read. Tables in one folder
are one corpus, so the folder's list and those of its tables hold for all of them.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from signloom.dataset.clip_ids import clip_ids
from signloom.dataset.forms.table_files import read_table
from signloom.dataset.forms.texts import one_name, seconds_text
from signloom.files import write_csv

_NAME = "withdrawn.csv"
_CUT = re.compile(r"@([^@-]*)-([^@-]*)$")  # of a clip's id
_OF_NOTHING = hashlib.sha256().hexdigest()  # all empty files have it
COLUMNS = ["clip_id", "signer_id", "video_hash", "withdrawn_on"]


def list_beside(table: str | Path) -> Path:
    """Return the path of the list that belongs to a table of clips, a file or a folder."""
    table = Path(table)
    if table.name in ("", ".."):
        table = table.resolve()
    # each folder has its own: other corpora may lie beside it
    return table.with_name(f"{table.name}.{_NAME}" if table.is_dir() else _NAME)


def lists_of(table: str | Path) -> list[Path]:
    """Return the lists that hold for a table of clips and that exist, its own first.

    A corpus may be named by its folder or by a file in it, and through a link.
    """
    found: dict[Path, None] = {}
    for place in (Path(table), Path(table).resolve()):
        own = list_beside(place)
        if place.is_dir():
            # earlier versions wrote one for all folders beside it
            lists = [own if own.exists() else own.with_name(_NAME), place / _NAME]
        else:
            lists = [own, list_beside(place.parent)]
        found |= dict.fromkeys(path for path in lists if path.exists())
    return [*{path.resolve(): path for path in reversed(found)}.values()][::-1]


def withdrawn_from(table: str | Path) -> pd.DataFrame:
    """Return the columns `COLUMNS` of all lists that hold for a table of clips."""
    lists = [read_withdrawn(path) for path in lists_of(table)]
    return pd.concat([pd.DataFrame(columns=COLUMNS, dtype=str), *lists], ignore_index=True)


def read_withdrawn(path: Path) -> pd.DataFrame:
    """Return the columns `COLUMNS` of the list, without a row if there is none.

    A folder without a list of its own has the one that earlier versions wrote for all folders beside it.
    """
    if not path.exists():
        path = path.with_name(_NAME)
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS, dtype=str)
    return read_table(path, COLUMNS)[COLUMNS]


def are_withdrawn(rows: pd.DataFrame, listed: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which `rows` of the table of clips the list names."""
    if listed.empty:
        return np.zeros(len(rows), bool)
    clips = {*listed["clip_id"]} - {""}
    signers = {one_name(name) for name in listed["signer_id"][listed["clip_id"] == ""]} - {""}
    ids = pd.Series(clip_ids(rows), index=rows.index)
    return np.asarray(ids.isin(clips) | rows["signer_id"].str.strip().isin(signers), bool)


def same_parts(
    rows: pd.DataFrame,
    contents: Sequence[str],
    listed: pd.DataFrame,
    lengths: Mapping[str, float | None] | None = None,
) -> NDArray[np.bool_]:
    """Return which `rows` are parts of videos that the list names, by content hash and times.

    The id of a clip may change: another file of its name arrives, or a spreadsheet writes its times anew.
    With the `lengths` of contents in seconds, a part that ends with its video is one without an end.
    """
    told = (listed["clip_id"] != "") & ~listed["video_hash"].isin(["", _OF_NOTHING])
    named, known = listed[told], lengths or {}
    parts = {
        (row.video_hash, *_part(*_times_of(row.clip_id), known.get(row.video_hash)))
        for row in named.itertuples()
    }
    times = zip(contents, rows["start_s"], rows["end_s"], strict=True)
    mine = ((content, *_part(start, end, known.get(content))) for content, start, end in times)
    return np.array([part in parts for part in mine], bool)


def _times_of(clip_id: str) -> tuple[str, str]:
    found = _CUT.search(clip_id)
    return (found[1], found[2]) if found and _is_cut(found[1], found[2]) else ("", "")


def _is_cut(start: str, end: str) -> bool:
    """Return whether two texts are the times of a part, and not of a name such as `anna@2024-01`."""
    try:
        return float(start or 0) < float(end or "inf")
    except ValueError:
        return False


def _part(start: str, end: str, length_s: float | None) -> tuple[str, str]:
    """Return start and end of a part in one form; a start of 0 is none, and so is an end after `length_s`."""
    start, end = (_number(time) for time in (start, end))
    with suppress(ValueError):  # an empty end, or what is no number
        end = "" if length_s is not None and float(end) >= length_s else end
    return "" if start == "0" else start, end


def _number(time: str) -> str:
    try:
        return seconds_text(float(time))
    except ValueError:
        return time.strip()


def add_withdrawn(path: Path, clips: pd.DataFrame, signers: list[str], today: date) -> pd.DataFrame:
    """Add `clips` (`clip_id, signer_id, video_hash`) and whole `signers` to the list, and return it."""
    whole = pd.DataFrame({"clip_id": "", "signer_id": signers, "video_hash": ""}, dtype=str)
    added = pd.concat([whole, clips]).assign(withdrawn_on=today.isoformat())
    # what stands in the list keeps its day
    listed = pd.concat([read_withdrawn(path), added[COLUMNS]], ignore_index=True)
    listed = listed.drop_duplicates(["clip_id", "signer_id", "video_hash"], ignore_index=True)
    write_csv(path, listed)
    return listed
