"""The gate for files that users name: what may be opened at all. Everything else is said and left alone."""

import os
import re
import stat
from pathlib import Path

MISSING = "file does not exist"
FOLDER_FPS = 25.0  # of a folder of pictures whose rate is not known
PICTURES = frozenset({".png", ".jpg", ".jpeg"})
# macOS leaves files of this name beside real ones on foreign disks
HIDDEN = "._"
# what disks of a network, archives of macOS and Windows lay beside real files
_OF_SYSTEMS = ("@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found")
# a longer pause between two frames is a damaged time, and work grows with the time that a clip claims to last
LONGEST_GAP_S = 60.0
PROBE_S = 30.0  # for the answer of a disk or server that holds a file


def is_hidden(path: Path) -> bool:
    """Return whether a file, given from the folder that is read, or a folder on the way to it is hidden."""
    return any(part.startswith(".") or part in _OF_SYSTEMS for part in path.parts)


def why_shut(path: Path, root: Path | None = None, folders: dict[Path, Path] | None = None) -> str | None:
    """Return why `path` must not be opened, or None for files and folders: a pipe would wait for ever.

    With `root`, a link out of this folder is shut too, and so is a folder that holds one, unless it leads to
    the project, which may keep its data in a cache. `folders` keeps where folders lie, for many paths.
    """
    folders = {} if folders is None else folders
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return _why_outside(path, root, folders) if root else None
        if stat.S_ISDIR(mode):
            return _why_outside(path, root, folders) or _link_within(path, root, folders) if root else None
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except (OSError, ValueError) as error:  # a name that is too long or holds a zero byte; no permission
        return f"cannot be opened: {error.strerror if isinstance(error, OSError) else error}"
    return "is no regular file but a pipe, a device or a socket"


def is_there(path: Path) -> bool:
    """Return whether `path` exists; a text that can be no path does not."""
    try:
        return path.exists()
    except OSError:
        return False


def picture_numbers(file: Path) -> tuple[int, ...]:
    """Return all numbers in the name of a picture; the one that counts frames may stand anywhere in it."""
    return tuple(int(number) for number in re.findall(r"\d+", file.stem))


def _why_outside(path: Path, root: Path, folders: dict[Path, Path]) -> str | None:
    # links are rare, and asking the disk about every part of every path is slow
    direct = path.name != ".." and not path.is_symlink()
    target = _where(path.parent, folders) / path.name if direct else path.resolve()
    if target.is_relative_to(_where(root, folders)) or target.is_relative_to(_where(Path(), folders)):
        return None
    return f"is a link to {target}, outside {root} and the project; copy the file into {root}"


def _where(folder: Path, folders: dict[Path, Path]) -> Path:
    if folder not in folders:
        folders[folder] = folder.resolve()
    return folders[folder]


def _link_within(folder: Path, root: Path, folders: dict[Path, Path]) -> str | None:
    with os.scandir(folder) as entries:
        links = sorted(entry.path for entry in entries if entry.is_symlink())
    return next((f"{link} {why}" for link in links if (why := _why_outside(Path(link), root, folders))), None)
