"""The gate for a table's rows, whatever its form: spaces, characters that cannot be shown, short rows."""

from pathlib import Path

import pandas as pd

from signloom.cells import CONTROL, shown
from signloom.dataset.forms.general import COLUMNS
from signloom.dataset.forms.table_files import SHORT
from signloom.dataset.forms.texts import one_form, one_name
from signloom.gate import is_there
from signloom.letters import seen

PROBLEM = "problem"  # the column that says why a row cannot be used, "" if it can
_TEXTS = ("sentence", "gloss")
_JSON = ("gloss_times", "text_variations")
# names of the gloss vocabulary, which stands in a room above this one
SPECIALS = ("<pad>", "<unk>", "<blank>", "<sos>", "<eos>")


def passed(rows: pd.DataFrame, videos: Path) -> pd.DataFrame:
    """Return the `COLUMNS` of `rows` in one form, and `PROBLEM`; a column that is missing becomes empty.

    Texts have their `one_form`, names their `one_name`. A video below `videos` keeps spaces that its file
    has. What cannot be shown is replaced by escapes.
    """
    problems = rows[SHORT].tolist() if SHORT in rows else [""] * len(rows)
    clean = {"row": [shown(row) if isinstance(row, str) else row for row in rows["row"]]}
    for column in COLUMNS[1:]:
        given = rows[column] if column in rows else [""] * len(rows)
        cells = [_one_form(column, cell, videos) for cell in given]
        found = [_problem(column, cell) for cell in cells]
        problems = [before or now for before, now in zip(problems, found, strict=True)]
        clean[column] = [shown(cell) if why else cell for cell, why in zip(cells, found, strict=True)]
    return pd.DataFrame(clean | {PROBLEM: problems})


def _one_form(column: str, cell: str, videos: Path) -> str:
    if column in _TEXTS:
        return one_form(cell)
    if column == "video":
        return cell if cell == cell.strip() or is_there(videos / cell) else cell.strip()
    return seen(cell).strip() if column in _JSON else one_name(cell)


def _problem(column: str, cell: str) -> str:
    text = one_form(cell) if column in _JSON else cell  # JSON may stand on several lines
    if CONTROL.search(text):
        return f"{column} holds what cannot be shown: {shown(text)}"
    taken = [gloss for gloss in text.split() if gloss in SPECIALS] if column == "gloss" else []
    return f"gloss {taken[0]!r} is a name of the vocabulary's own; write it otherwise" if taken else ""
