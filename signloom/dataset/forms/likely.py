"""Guess the form of annotations that an importer could not read, so that the error can name it."""

import json
import re
from pathlib import Path
from typing import Any

from signloom.dataset.forms import boston104, fairseq, phoenix, word_lists
from signloom.dataset.forms.bobsl import EPISODES
from signloom.dataset.forms.folders import is_clip
from signloom.dataset.forms.mapping import Form, read_form, shipped
from signloom.dataset.forms.signtalk import COLUMNS as SIGNTALK
from signloom.dataset.forms.subtitles import SUFFIXES
from signloom.dataset.forms.table_files import first_line, found_separator, read_table
from signloom.dataset.probe import VIDEO_SUFFIXES
from signloom.errors import SignloomError

# columns of the tables that importers in code read; one of the sets must be there
_TABLES: dict[str, list[set[str]]] = {
    "phoenix2014": [{"id", "folder", "signer", "annotation"}],
    "phoenix2014t": [{"name", "start", "end", "speaker", "orth", "translation"}],
    "processed": [{"feature_path", "sentence_id", "sentence"}],
    "signtalk_sampled": [{"video_file", "sentence_id", "sentence", "category"}],
    "fairseq": [set(fairseq.NEEDED)],
    "csv": [{"video", "sentence"}, {"video", "gloss"}],
}


def likely_forms(table: Path) -> list[str]:
    """Return the forms that a file or folder looks like, the most probable first."""
    forms = {name: read_form(file) for name, file in shipped().items()}
    if table.is_dir():
        return _folder(table, forms)
    if table.suffix.lower() == ".eaf":
        return ["elan"]
    if table.suffix.lower() in SUFFIXES:
        return ["subtitles"]
    return _json(table) if table.suffix.lower() == ".json" else _table(table, forms)


def likely(table: Path, importer: str) -> str | None:
    """Return what to set for a table that `importer` could not read, or None if there is nothing to say."""
    names = likely_forms(table)
    if importer in names:
        return None
    if names:
        return f"looks like the form {names[0]}; set dataset.importer to {names[0]}"
    first = first_line(table).split(found_separator(table))[0]
    if Path(first.strip()).suffix.lower() in VIDEO_SUFFIXES:
        return (
            "has no first line that names the columns; add one, or write a form with `header` and set "
            "dataset.importer to its path"
        )
    return None


def _folder(folder: Path, forms: dict[str, Form]) -> list[str]:
    """Return the forms whose files are in a folder."""
    names = {path.name for path in folder.iterdir()}
    named = {
        "msasl": word_lists.FILES_MSASL,
        "phoenix2014": phoenix.FILES_2014,
        "phoenix2014t": phoenix.FILES_2014T,
        "boston104": boston104.FILES,
    } | {
        name: [*form.files.values(), *([form.join.file] if form.join else [])]
        for name, form in forms.items()
        if form.files
    }
    found = [name for name, files in named.items() if names >= set(files)]
    if any(folder.rglob(EPISODES)):
        return [*found, "bobsl"]
    if any(_likely_fairseq(file) for file in folder.rglob("*.tsv")):
        found.append("fairseq")
    suffixes = {path.suffix.lower() for path in folder.rglob("*") if path.is_file()}
    found += ["elan"] if ".eaf" in suffixes else []
    found += ["subtitles"] if suffixes & {*SUFFIXES} else []
    if found:
        return found
    signs = (path for path in folder.iterdir() if path.is_dir())
    return ["folders"] if any(is_clip(clip) for sign in signs for clip in sign.iterdir()) else []


def _likely_fairseq(table: Path) -> bool:
    return set(first_line(table).split("\t")) >= set(fairseq.NEEDED)


def _json(file: Path) -> list[str]:
    try:
        found: Any = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return []
    first = found[0] if isinstance(found, list) and found else {}
    keys = set(first) if isinstance(first, dict) else set()
    fitting = {
        "wlasl": keys >= {"gloss", "instances"},
        "msasl": keys >= {"url", "text"},
        "bobsl": file.name == EPISODES,
    }
    return [name for name, fits in fitting.items() if fits]


def _table(table: Path, forms: dict[str, Form]) -> list[str]:
    """Return the forms that fit the first line of a table; the most probable is first."""
    separator, workbook = found_separator(table), table.suffix.lower() == ".xlsx"
    line = first_line(table).split(separator)
    cells = _columns(table) if workbook else [cell.strip().strip('"') for cell in line]
    named = [name for name, form in forms.items() if table.name in form.files.values()]
    wanted = _TABLES | {name: [set(form.needed)] for name, form in forms.items() if not form.header}
    wanted |= {"signtalk": [set(SIGNTALK)]} if workbook else {}
    fitting = [name for name, columns in wanted.items() if any(set(cells) >= names for names in columns)]
    # the columns of a form without a header or with a second table cannot be seen in this line
    fitting += [name for name in named if forms[name].header or forms[name].join]
    if "processed" in fitting:  # it has the columns of the other too
        fitting = [name for name in fitting if name != "signtalk_sampled"]
    if len(cells) == 2 and re.match(r"signer\d+_", cells[0]) and cells[1].isdecimal():
        fitting.append("autsl")
    if len(cells) == 2 and separator == "|" and re.search(r"/.*_signer\d+_", cells[0]):
        fitting.append("gsl")
    return sorted(fitting, key=lambda name: (name not in named, -len(wanted.get(name, [set()])[0])))


def _columns(workbook: Path) -> list[str]:
    """Return the columns of a workbook's first sheet, or none if it cannot be read."""
    try:
        return [str(name) for name in read_table(workbook, []).columns]
    except SignloomError:
        return []
