"""Every file below a folder, links to other folders included."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def files_below(
    folder: Path,
    enters: Callable[[Path], bool] = lambda _: True,
    shut: Callable[[OSError], None] = lambda _: None,
) -> Iterator[Path]:
    """Yield every file below `folder`, if it exists, each folder once, however many links lead to it.

    Folders that `enters` refuses are left out; `shut` is told of those that cannot be read.
    """
    if not folder.is_dir():
        return
    seen = {folder.resolve()}
    for place, below, names in os.walk(folder, onerror=shut, followlinks=True):
        folders = [Path(place, name) for name in sorted(below)]
        entered = [path for path in folders if enters(path) and path.resolve() not in seen]
        # two links beside each other may lead to one folder
        once = {path.resolve(): path for path in reversed(entered)}
        seen |= once.keys()
        below[:] = sorted(path.name for path in once.values())
        yield from (Path(place, name) for name in sorted(names))
