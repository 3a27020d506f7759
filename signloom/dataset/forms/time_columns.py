"""Columns of a table that look like the times of clips and have other names than ours."""

import math
import re
from pathlib import Path

import pandas as pd

from signloom.errors import SignloomError

# how columns that say where a clip begins and ends are called
_BEGINS = {"begin", "beginn", "start", "onset", "from", "von", "anfang", "debut", "début", "inicio", "in"}
_ENDS = {"end", "ende", "stop", "offset", "to", "bis", "fin", "out"}
_NO_TIMES = {
    *("date", "datum", "day", "year", "session", "recorded", "age"),
    *("page", "seite", "city", "signer", "line", "id", "x", "y"),
}
_WORD = re.compile(r"[^\W\d_]+?(?=time|frame|zeit|[\W\d_]|$)|time|frame|zeit")
_CLOCK = re.compile(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:[.,]\d+)?)")  # a number, or hours, minutes and seconds


def refuse_times(table: Path, rows: pd.DataFrame) -> None:
    """Raise SignloomError for two columns that look like begin and end of clips and have other names."""
    times = {str(name): found for name in rows if (found := _seconds(rows[name]))}
    words = {name: {*_WORD.findall(name.lower())} for name in times}
    begin, end = (
        next((name for name, its in words.items() if its & kind and not its & _NO_TIMES), None)
        for kind in (_BEGINS, _ENDS)
    )
    if not begin or not end:
        return
    lasts = [other - one for one, other in zip(times[begin], times[end], strict=True)]
    known = [seconds for seconds in lasts if not math.isnan(seconds)]
    # zeros alone are how some forms write whole videos
    if known and min(known) >= 0 < max(known):
        raise SignloomError(
            f"{table}: columns {begin!r} and {end!r} are not read, and look like the times of clips; call "
            "them start_s and end_s and give seconds, or delete them if each video is one clip"
        )


def _seconds(cells: pd.Series) -> list[float]:
    """Return the numbers of a column, clocks in seconds, NaN for no text; none if a cell holds other text."""
    found = [_CLOCK.fullmatch(cell.strip() or "0") for cell in cells]
    if not all(found):
        return []
    parts = [[float(part.replace(",", ".")) for part in match.groups() if part] for match in found if match]
    seconds = [sum(part * 60**place for place, part in enumerate(reversed(one))) for one in parts]
    return [one if cell.strip() else math.nan for one, cell in zip(seconds, cells, strict=True)]
