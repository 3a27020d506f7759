"""Names of presets: their files, and the folder of the products of one or several."""

from collections.abc import Iterator
from pathlib import Path

from signloom.errors import PRESETS


def preset_file(name: str) -> Path:
    """Return the path of the preset `name`."""
    return PRESETS / f"{name}.yaml"


def folder_of(presets: str | None) -> str:
    """Return the name of the folder below build/ for presets with commas between them, "" without any."""
    return (presets or "").replace(",", "-")


def presets_of(folder: str) -> str:
    """Return the presets, with commas between them, whose products are in build/`folder`."""
    return ",".join(next(readings(folder), folder.split("-")))


def readings(folder: str) -> Iterator[list[str]]:
    """Yield every list of presets that there are whose folder is build/`folder`, a single preset first."""
    parts = folder.split("-")
    for end in range(len(parts), 0, -1):
        first, others = "-".join(parts[:end]), parts[end:]
        if preset_file(first).exists():
            yield from ([first, *more] for more in (readings("-".join(others)) if others else [[]]))
