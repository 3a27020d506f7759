"""What lies beside the clips of a withdrawal and stays, so that a user can name it too."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from signloom.console import number_of
from signloom.dataset.withdrawn import list_beside
from signloom.errors import PRESETS, SignloomError
from signloom.letters import seen, small
from signloom.params.dataset import DatasetParams
from signloom.params.presets import load_presets


def beside(
    dataset: DatasetParams, rows: pd.DataFrame, clips: set[str], signers: Sequence[str]
) -> Iterator[str]:
    """Yield lines about `rows` of the table that stay when `clips` and all clips of `signers` go.

    They are clips of signers whose names are nearly the same, and other parts of the same videos. Tables that
    share the list are named too.
    """
    gone = rows["clip_id"].isin(clips)
    alike = {_plain(name) for name in signers}
    for name in sorted({*rows["signer_id"][~gone]} - {"", *signers}):
        if _plain(name) in alike:
            yield f"signer {name!r} stays; if this is the same person, name it too"
    shared = rows["clip_id"][~gone & rows["video"].isin(rows["video"][gone]) & (rows["clip_id"] != "")]
    if len(shared):
        stay = number_of(
            len(shared), "other clip of the same videos stays", "other clips of the same videos stay"
        )
        yield f"{stay}, first {shared.iloc[0]}"
    for file in sorted(PRESETS.glob("*.yaml")):
        try:
            table = load_presets([file.stem]).dataset.table
        except SignloomError:  # a preset that cannot be used
            continue
        place = Path(table)
        shares = place.is_file() or (place.is_dir() and not list_beside(place).exists())
        if shares and place.parent == Path(dataset.table).parent and table != dataset.table:
            yield f"the list holds for {table} of the preset {file.stem} too, which lies in the same folder"


def _plain(name: str) -> str:
    """Return a name without what people write in different ways: capitals, spaces and unseen marks."""
    return "".join(small(seen(name)).split())
