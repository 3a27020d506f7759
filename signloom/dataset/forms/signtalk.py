"""SignTalk-GH: a workbook with videos named by sentence and variant, and the sampled table."""

import re
from pathlib import Path

import pandas as pd

from signloom.dataset.consent import named
from signloom.dataset.forms.table_files import read_table, read_workbook
from signloom.dataset.forms.texts import one_form
from signloom.dataset.probe import VIDEO_SUFFIXES
from signloom.errors import SignloomError
from signloom.gate import HIDDEN

COLUMNS = ["Sentence ID", "Sentence", "Text"]


def read_signtalk(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read videos `<id><A-Z>.mp4` and a workbook with Sentence ID, Sentence, Text (= category) in Sheet1."""
    (table,) = files
    sheet = read_workbook(table, "Sheet1", COLUMNS)
    by_key = _by_sentence_id(table, sheet)
    found = []
    shown = (path for path in videos.glob("*") if not path.name.startswith(HIDDEN))
    named = sorted(path for path in shown if path.suffix.lower() in VIDEO_SUFFIXES)
    for row, file in enumerate(named, start=1):
        name = re.fullmatch(r"(\d+)([A-Z]?)", file.stem)
        key = _whole(name[1]) if name else ""
        sentence, category = by_key.get(key, ("", ""))
        number = key if key in by_key else "no sentence in the table"
        found.append((row, file.name, number, sentence, category))
    return pd.DataFrame(found, columns=["row", "video", "sentence_id", "sentence", "category"])


def read_signtalk_sampled(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read a table `video_file,sentence_id,sentence,category,variant`."""
    (table,) = files
    rows = named(read_table(table, ["video_file", "sentence_id", "sentence", "category"], short=True))
    if "feature_path" in rows:
        raise SignloomError(f"{table}: the table has `feature_path`: set dataset.importer to processed")
    return rows.rename(columns={"video_file": "video"})


def _by_sentence_id(table: Path, sheet: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return sentence and category by id; raises SignloomError if two lines disagree about an id."""
    found: dict[str, tuple[str, str]] = {}
    lines = sheet[COLUMNS].itertuples(index=False)
    for line, (number, sentence, category) in enumerate(lines, start=2):
        key, value = _whole(number), (one_form(sentence), category.strip())
        # a line without an id belongs to no video
        if key and found.setdefault(key, value) != value:
            raise SignloomError(
                f"{table}: Sheet1, line {line}: Sentence ID {key} means {value} here and {found[key]} in an "
                "earlier line; give each sentence its own id"
            )
    return found


def _whole(value: str) -> str:
    """Turn `1000.0`, which is how spreadsheets write whole numbers, into `1000` and `0100` into `100`."""
    text = value.strip()
    return str(int(float(text))) if re.fullmatch(r"\d+(\.0*)?", text) else text
