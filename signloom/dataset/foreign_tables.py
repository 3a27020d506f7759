"""Tables whose columns have names that no importer knows: find the videos and the texts in them."""

import re
from pathlib import Path, PureWindowsPath

import pandas as pd

from signloom.dataset.consent import stated
from signloom.dataset.forms.general import COLUMNS, check_names
from signloom.dataset.forms.table_files import SHORT, found_separator, read_table, read_text
from signloom.dataset.forms.texts import one_form, one_gloss
from signloom.dataset.forms.time_columns import refuse_times
from signloom.dataset.forms.video_files import VideoFiles
from signloom.dataset.probe import VIDEO_SUFFIXES
from signloom.dataset.row_gate import PROBLEM, passed
from signloom.errors import SignloomError
from signloom.gate import is_there

_TABLES = (".csv", ".tsv", ".txt", ".xlsx")
# names of columns in small letters
_NAMES = {
    "sentence": {"sentence", "translation", "text", "caption", "transcript", "transcription"},
    "gloss": {"gloss", "glosses", "sign", "label", "word", "class", "gloss_label"},
    "signer_id": {"signer_id", "signer", "participant", "participant id", "speaker", "subject", "user"},
    "split": {"split", "subset", "partition"},
}
# of a list of people: what says who they are, and what else it says of them
_WHO = {"id", "name", *_NAMES["signer_id"], "person"}
_TRAITS = {"age", "gender", "sex", "handedness"}
_FEWEST_FOUND = 0.5
_BEGINNING = 100_000  # bytes


def read_foreign(table: Path, root: Path) -> tuple[pd.DataFrame, str] | str:
    """Return `table` with our columns, videos relative to `root`, and what was taken for what.

    Videos are in the column most of whose values name one below the root, by path or by name alone. A table
    that names a video twice is not used: its times need a form of its own. Returns why a table cannot be
    used; "" if it says nothing about videos. Raises SignloomError with the line of a row that has too few
    fields or cannot be shown, because the copy would hide it, and for columns of times with other names.
    """
    if table.suffix.lower() not in _TABLES:
        return ""
    files, unclear = VideoFiles(root), dict[str, str]()
    try:
        rows = _read(table)
    except SignloomError as error:
        if table.suffix.lower() == ".txt":  # most texts are no tables
            return ""
        return str(error) if table.suffix.lower() == ".xlsx" or _names_a_video(table, root, files) else ""
    takes = _says_what_is_signed(rows, files)
    found = {
        str(name): _videos(str(name), rows[name], root, files, unclear, takes)
        for name in rows.columns.drop(["row", SHORT], errors="ignore")
    }
    if not found or not len(rows):
        return ""
    best = max(found, key=lambda name: sum(map(bool, found[name])))
    if best == "clip_id" and "action" in rows:  # what people decided about clips, and no table of these
        return ""
    # a number of a take may be the name of several videos too, and then another column names them
    if unclear and (best in unclear or not any(found[best])):
        return f"{table}: {unclear.get(best, next(iter(unclear.values())))}"
    videos = [video or rows[best].iloc[number].strip() for number, video in enumerate(found[best])]
    taken = {
        ours: name
        for ours, theirs in _NAMES.items()
        if (name := next((str(name) for name in rows if str(name).lower() in theirs and name != best), ""))
    }
    if not sum(map(bool, found[best])) >= _FEWEST_FOUND * len(rows):
        return ""
    if why := _why_not(rows, videos, taken):
        return f"{table}: {why}"
    return _ours(table, root, rows, best, videos, taken)


def _read(table: Path) -> pd.DataFrame:
    """Return all cells of a table as texts, with the line of each row."""
    if table.suffix.lower() == ".xlsx":
        return read_table(table, [])
    return read_text(table, found_separator(table), [], short=True)


def _says_what_is_signed(rows: pd.DataFrame, files: VideoFiles) -> bool:
    """Return whether a table has texts, and other ones than the names of folders, as a list of labels has.

    Where no column is called like a text, one of them may still be one: if the table is long enough, or has
    words that name no folder, and no column that names each folder once. A list of people has no texts.
    """
    named = _NAMES["sentence"] | _NAMES["gloss"]
    columns = {
        str(name): [one_form(cell).casefold() for cell in cells]
        for name, cells in rows.drop(columns=["row", SHORT], errors="ignore").items()
    }
    texts = [{*cells} for name, cells in columns.items() if name.lower() in named]
    if texts:
        return not any(each <= files.folders.keys() for each in texts)
    if (titles := {name.lower() for name in columns}) & _TRAITS and titles <= _WHO | _TRAITS:
        # a list of people, whose folders are not those of signs
        return any({*cells} & files.folders.keys() for cells in columns.values())
    if len(rows) >= _FEWEST_FOUND * files.folders.total():
        return True
    words = [cells for cells in columns.values() if any(map(str.isalpha, "".join(cells)))]
    strange = [cells for cells in words if not {*cells} <= files.folders.keys()]
    labels = [cells for cells in words if cells not in strange and len({*cells}) == len(cells)]
    return bool(strange) and not labels


def _names_a_video(table: Path, root: Path, files: VideoFiles) -> bool:
    """Return whether the beginning of a text that is no table, in whatever encoding, names a video."""
    with table.open("rb") as file:
        text = file.read(_BEGINNING).replace(b"\0", b"").decode("latin-1")
    cells = [cell.strip() for cell in re.split(r'[\t|;,"\r\n]', text)]
    unclear: dict[str, str] = {}
    return any(_videos("", pd.Series(cells, dtype=str), root, files, unclear, False)) or bool(unclear)


def _ours(
    table: Path, root: Path, rows: pd.DataFrame, best: str, videos: list[str], taken: dict[str, str]
) -> tuple[pd.DataFrame, str]:
    """Return `rows` with our columns, and what was taken for what: `best` and `taken` are names of theirs."""
    kept = [name for name in COLUMNS if name in rows and name not in ("row", "video", *taken)]
    others = [str(name) for name in rows if name not in ("row", SHORT, best, *taken.values())]
    # a column that nearly has one of our names, such as that of a time, must not be lost
    check_names(table, ["video", *taken, *others], rows)
    if not {"start_s", "end_s"} & {*kept}:
        refuse_times(table, rows[[name for name in others if name not in kept]])
    ours = pd.DataFrame({"video": videos} | {ours: rows[name].to_numpy() for ours, name in taken.items()})
    ours = stated(ours.assign(**{name: rows[name].to_numpy() for name in kept}))
    if taken.get("gloss", "").lower() in ("sign", "label", "word", "class"):
        ours["gloss"] = [one_gloss(text) for text in ours["gloss"]]
    checked = passed(ours.assign(row=rows["row"], **({SHORT: rows[SHORT]} if SHORT in rows else {})), root)
    if len(bad := checked[checked[PROBLEM] != ""]):
        raise SignloomError(f"{table}: line {bad['row'].iloc[0]}: {bad[PROBLEM].iloc[0]}")
    named = {"video": best, **taken, **dict(zip(kept, kept, strict=True))}
    left = ", ".join(name for name in others if name not in kept)
    said = ", ".join(f"{ours} = {theirs}" for ours, theirs in named.items())
    return ours, said + (f"; not taken: {left}" if left else "")


def _why_not(rows: pd.DataFrame, videos: list[str], taken: dict[str, str]) -> str:
    """Return why a table that names videos cannot be used, "" if it can."""
    if not {"sentence", "gloss"} & {*taken}:
        names = ", ".join(str(name) for name in rows if name not in ("row", SHORT))
        return f"no column is called like a text; its columns are {names}: call one sentence or gloss"
    first: dict[str, str] = {}
    for video, row in zip(videos, rows["row"], strict=True):
        if video and video in first:
            return (
                f"line {row} names {video} again, as line {first[video]} does; delete one of them, or call "
                f"the columns video, sentence, start_s and end_s if a video holds several clips"
            )
        first[video] = row
    return ""


def _videos(
    name: str, cells: pd.Series, root: Path, files: VideoFiles, unclear: dict[str, str], takes: bool
) -> list[str | None]:
    """Return what `_video` does for each cell of a column; say in `unclear` if a name has several videos.

    A number alone is such a name only if `takes`: it may count anything.
    """
    found: list[str | None] = []
    for cell in cells:
        try:
            found.append(_video(cell.strip(), root, files))
        except SignloomError as error:
            if takes or not cell.strip().isdecimal():
                unclear.setdefault(name, str(error))
            found.append(None)
    return found


def _video(cell: str, root: Path, files: VideoFiles) -> str | None:
    """Return the path below `root` of the video that a cell names, or None."""
    if not cell:
        return None
    for path in (cell, cell.replace("\\", "/")):  # as Windows writes it
        if is_there(root / path) and (root / path).is_file() and (root / path).is_relative_to(root):
            return path
    name = PureWindowsPath(cell)
    # the same video may have been converted, or its suffix written in capitals
    names = [name.name, *([name.stem] if name.suffix.lower() in VIDEO_SUFFIXES else [])]
    return next((video for one in names if (video := files.find(one, folders=name.parts[:-1]))), None)
