"""Read annotation tables as a form says."""

import csv
import re
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from signloom.dataset.consent import named, stated
from signloom.dataset.forms.mapping import Column, Form, Join, Times, filled, names_in
from signloom.dataset.forms.table_files import (
    SHORT,
    first_line,
    found_separator,
    need_columns,
    read_table,
    read_text,
)
from signloom.dataset.forms.texts import (
    id_numbers,
    no_underscore,
    one_form,
    seconds_text,
    sentence_ids,
    spelled,
)
from signloom.dataset.forms.video_files import on_disk
from signloom.errors import SignloomError
from signloom.gate import is_there

_CONSENT = ("consent", "until")  # read by these names, whatever a form says
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")


def form_files(form: Form, table: Path) -> list[Path]:
    """Return the tables of a form: those of its splits, or `table` if it is another file."""
    if table.is_file() and table.name not in form.files.values():
        return [table]
    folder = table if table.is_dir() else table.parent
    return [folder / name for name in form.files.values()] if form.files else [table]


def join_file(form: Form, table: Path) -> list[Path]:
    """Return the joined table of a form in a list, or nothing."""
    return [(table if table.is_dir() else table.parent) / form.join.file] if form.join else []


def read_mapped(form: Form, files: list[Path], videos: Path) -> pd.DataFrame:
    """Return the rows of the tables `files`; the joined table, if the form has one, is the last of them.

    Raises SignloomError with file and line if a table cannot be read, lacks a column, or a value does not
    have the shape that the form expects.
    """
    tables, joined = (files[:-1], files[-1]) if form.join else (files, None)
    extra = _entries(form.join, joined, form.needed) if form.join and joined else {}
    splits = {name: split for split, name in form.files.items()}
    found: list[dict[str, Any]] = []
    for table in tables:
        rows = _rows(form, table)
        rows.columns = spelled(map(str, rows.columns), form.needed)
        rows = rows if {*_CONSENT} & {*form.columns} else named(rows)
        _need(form, table, rows, extra)
        for record in rows.to_dict("records"):
            where = f"{table.name}:{record['row']}" if len(tables) > 1 else record["row"]
            split = splits.get(table.name, "")
            given = {"split": split} | {str(key): cell for key, cell in record.items()}
            place = f"{table}: line {record['row']}"
            if given.get(SHORT):  # its values cannot be trusted
                found.append({"row": where, SHORT: given[SHORT], "video": "", "split": split})
                continue
            given |= _entry(form.join, extra, given, place) if form.join else {}
            said = {name: given[name] for name in _CONSENT if name in given}
            found.append({"row": where, "split": split, **said, **_ours(form, given, place, videos)})
    rows = pd.DataFrame(found)
    if "consent" in rows:  # a table without the column says nothing, which allows everything
        rows["consent"] = rows["consent"].fillna("all")
    more = [name for name in _CONSENT if name in rows and name not in form.columns]
    return stated(_with_ids(rows.reindex(columns=["row", SHORT, *_names(form), *more])))


def _names(form: Form) -> list[str]:
    return list(
        dict.fromkeys(["sentence", "gloss", "sentence_id", "split", "start_s", "end_s", *form.columns])
    )


def _rows(form: Form, table: Path) -> pd.DataFrame:
    if table.suffix.lower() == ".xlsx":
        return read_table(table, [])
    if form.separator:
        return read_text(table, form.separator, [], quoted=form.quoted, header=form.header, short=True)
    separator = found_separator(table)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE
    count = len(next(csv.reader([first_line(table)], delimiter=separator, quoting=quoting)))
    if form.header and count != len(form.header):
        raise SignloomError(
            f"{table}: line 1 has {count} fields separated by {separator!r}, and `header` of the form names "
            f"{len(form.header)}; if another character separates them, name it as `separator` in the form"
        )
    return read_text(table, separator, [], quoted=form.quoted, header=form.header, short=True)


def _need(form: Form, table: Path, rows: pd.DataFrame, extra: dict[str, dict[str, str]]) -> None:
    known = {str(name) for name in rows.columns} | {name for entry in extra.values() for name in entry}
    missing = [name for name in form.needed if name not in known]
    if missing:
        has = ", ".join(str(name) for name in rows.columns if name not in ("row", SHORT))
        raise SignloomError(f"{table}: column {missing[0]!r} is missing; the table has: {has}")


def _entries(join: Join, file: Path, names: list[str]) -> dict[str, dict[str, str]]:
    """Return the columns of the joined table, by key, as `names` spells them.

    Raises SignloomError if two lines of a key differ.
    """
    rows = read_text(file, found_separator(file), [], header=join.header)
    rows.columns = spelled(map(str, rows.columns), [join.key, *names])
    need_columns(file, rows, [join.key])
    found: dict[str, dict[str, str]] = {}
    for record in rows.to_dict("records"):
        key = str(record[join.key]).strip()
        entry = {str(name): str(cell) for name, cell in record.items() if name not in ("row", join.key)}
        if found.setdefault(key, entry) != entry:
            raise SignloomError(
                f"{file}: line {record['row']}: {join.key} {key!r} has other values in a line above; keep one"
            )
    return found


def _entry(
    join: Join, extra: dict[str, dict[str, str]], record: dict[str, Any], place: str
) -> dict[str, str]:
    key = str(record[join.column]).strip()
    if key in extra:
        return extra[key]
    if not join.optional:
        raise SignloomError(f"{place}: {join.column} {key!r} has no entry in {join.file}")
    return dict.fromkeys((name for entry in extra.values() for name in entry), "")


def _ours(form: Form, record: dict[str, Any], place: str, videos: Path) -> dict[str, str]:
    """Return our values of one row."""
    values: dict[str, str] = {
        name: _value(column, record, place) for name, column in form.columns.items() if name != "video"
    }
    start, end = (_seconds(form.times, values.pop(name, ""), record, name) for name in ("start", "end"))
    if not end and _same(start, "0"):
        start = ""
    return {
        **values,
        "video": _video(form.columns["video"], record, place, videos),
        "start_s": start,
        "end_s": end,
    }


def _value(column: Column, record: dict[str, Any], place: str, text: str | None = None) -> str:
    value = filled(column.texts[0] if text is None else text, record).strip()
    if column.take and value:
        found = re.search(column.take, value)
        if not found:
            raise SignloomError(f"{place}: {value!r} does not match {column.take!r} of the form")
        value = (found["value"] or "").strip()
    if column.spaces is not None:
        value = column.spaces.join(one_form(value).split(" "))
    return value or column.default


def _video(column: Column, record: dict[str, Any], place: str, videos: Path) -> str:
    """Return the first place that exists, or else the first; a last part with `*` means its folder."""
    places = []
    for text in column.texts:
        if not all(str(record[name]).strip() for name in names_in(text)):
            continue  # a row without a name, or a place by split in a table without splits
        head, _, tail = _value(column, record, place, text).rpartition("/")
        places.append(head if "*" in tail else f"{head}/{tail}" if head else tail)
    return next((place for place in places if is_there(videos / on_disk(videos, place))), (places or [""])[0])


def _seconds(times: Times, text: str, record: dict[str, Any], name: str) -> str:
    """Return a time in seconds; a text that is none stays as it is, and the manifest rejects the row."""
    if not text or _same(text, str(times.to_end)):
        return ""
    if times.unit == "s":
        return text
    clock = _CLOCK.fullmatch(text)
    if times.unit == "clock":
        if not clock:
            return text
        hours, minutes, seconds = clock.groups(default="0")
        return seconds_text(3600 * int(hours) + 60 * int(minutes) + float(seconds.replace(",", ".")))
    try:
        number = float(no_underscore(text))
    except ValueError:
        return text
    if times.unit == "ms":
        return seconds_text(number / 1000)
    try:
        fps = float(record[times.fps]) if isinstance(times.fps, str) else times.fps
        # the last frame belongs to the clip
        return seconds_text((number - times.first + (name == "end")) / fps)
    except (ValueError, ZeroDivisionError):
        return f"{text} frames"  # no time, which rejects the row: its rate is not known


def _same(text: str, other: str) -> bool:
    """Return whether two texts are the same, as numbers if they are numbers."""
    try:
        return float(text) == float(other)
    except ValueError:
        return text == other


def _with_ids(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.fillna("")
    texts = [one_form(s) or one_form(g) for s, g in zip(rows["sentence"], rows["gloss"], strict=True)]
    return rows.assign(sentence_id=sentence_ids(id_numbers(rows["sentence_id"].tolist()), texts))
