"""Ids of clips and of their augmented copies, and the number of signers that a table names."""

from collections.abc import Iterable

import pandas as pd

from signloom.errors import SignloomError


def copy_id(clip_id: str, copy: int) -> str:
    """Return the id of an augmented copy of a clip; copy 0 is the clip itself."""
    return f"{clip_id}#{copy}" if copy else clip_id


def refuse_copy_names(ids: Iterable[str]) -> None:
    """Raise SignloomError if a clip has the name of an augmented copy of another one, whatever its number."""
    known = set(ids)
    for clip_id in sorted(known):
        name, mark, number = clip_id.rpartition("#")
        if mark and name in known and number.isdecimal():
            raise SignloomError(
                f"clip {clip_id!r} has the name that an augmented copy of clip {name!r} would get; "
                "rename one of the two"
            )


def named_signers(signers: "pd.Series[str]") -> int:
    """Return how many signers a column names; an empty cell names none."""
    named = signers.fillna("").astype(str).str.strip()
    return int(named[named != ""].nunique())
