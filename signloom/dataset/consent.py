"""What signers allow: the columns `consent` and `until` of a table of clips.

`consent` lists the uses that a signer allows, or says `all` or `none`; `until` is the last day on which this
holds. A table without the columns says nothing of consent, and nothing is then held back.
"""

import re
from collections.abc import Iterable
from datetime import date
from typing import Literal, get_args

import pandas as pd

from signloom.errors import SignloomError

Use = Literal["train", "pictures", "features", "models"]
USES: tuple[Use, ...] = get_args(Use)
NONE = "none"
_BETWEEN = re.compile(r"[\s,;]+")


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` whose columns of consent are called as here, however a table writes their letters."""
    ours = {name: str(name).strip().lower() for name in rows if name not in ("consent", "until")}
    return rows.rename(
        columns={name: our for name, our in ours.items() if our in ("consent", "until") and our not in rows}
    )


def stated(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` in which an empty cell of a column `consent`, if there is one, allows nothing."""
    if "consent" not in rows:
        return rows
    return rows.assign(consent=[cell.strip() or NONE for cell in rows["consent"].fillna("")])


def read_consent(cell: str) -> str:
    """Return the uses of a cell in their order, `none`, or "" if it says nothing.

    Raises ValueError for a word that names no use.
    """
    words = [word for word in _BETWEEN.split(cell.strip().lower()) if word]
    if words in ([NONE], []):
        return "".join(words)
    uses = USES if words == ["all"] else words
    if lone := sorted({"all", NONE} & set(uses)):
        raise ValueError(f"consent {cell.strip()!r}: {lone[0]} stands beside other words; write it alone")
    if unknown := sorted(set(uses) - {*USES}):
        raise ValueError(f"consent {unknown[0]!r}; expected {', '.join(USES)}, or all, or none")
    return " ".join(use for use in USES if use in uses)


def read_until(cell: str) -> date | None:
    """Return the last day of a consent, None for an empty cell; raises ValueError for what is no day."""
    # a cell of a workbook that holds a date has a time too
    if not (day := cell.strip().removesuffix(" 00:00:00")):
        return None
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise ValueError(f"until {day!r}; expected the last day, as in 2031-12-31") from None


def allows(consent: str, use: Use) -> bool:
    """Return whether `consent`, as `read_consent` returns it, allows `use`; what is not stated is allowed."""
    return not consent or use in consent.split()


def has_ended(until: str, today: date) -> bool:
    """Return whether the day of a cell is over; a cell that is no day is judged by the manifest."""
    try:
        last = read_until(until)
    except ValueError:
        return False
    return last is not None and last < today


def refuse_ended(table: str, rows: pd.DataFrame, today: date) -> None:
    """Raise SignloomError if the consent to a row of `rows` (`row, until`) has ended."""
    ended = rows[[has_ended(until, today) for until in rows["until"]]]
    if len(ended):
        first = ended.iloc[0]
        raise SignloomError(
            f"{table}: the consent for {len(ended)} of {len(rows)} clips has ended; "
            f"first: row {first['row']}, until {first['until'].strip()}; "
            "run `signloom withdraw --ended`, or put the new day into the table"
        )


def count_uses(consents: Iterable[str]) -> dict[str, int]:
    """Return how many of `consents` allow each use, and how many say nothing; {} if none says anything."""
    given = list(consents)
    if not any(given):
        return {}
    counts: dict[str, int] = {
        use: sum(bool(consent) and allows(consent, use) for consent in given) for use in USES
    }
    return {**counts, "not_stated": given.count("")}
