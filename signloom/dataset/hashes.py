"""Content hashes of videos, cached by file status so that an unchanged file is read only once."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from signloom.dataset.probe import files_of
from signloom.files import file_sha256, write_json
from signloom.processors import usable_cores
from signloom.progress import track

_SHOW_FROM_BYTES = 200_000_000
_KNOWN = TypeAdapter(dict[str, list[int | str]])


class HashCache:
    """SHA-256 of files; a file is read again when its size, times or inode change.

    The key includes the change time (ctime), because a copy can keep its modification time but not its ctime.
    """

    def __init__(self, store: Path) -> None:
        """Load the cache file `store`; a damaged one is deleted and built again."""
        self._store = store
        self._known: dict[str, list[int | str]] = {}
        self._asked: set[Path] = set()
        if store.exists():
            try:
                self._known = _KNOWN.validate_json(store.read_bytes())
            except ValidationError:
                store.unlink()

    def hash_all(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Return the hex digest of every file or folder of frames; "" for a file without read permission."""
        paths = list(paths)
        files = [file for path in paths for file in files_of(path)]
        self._asked.update(files)
        todo = [file for file in files if not self._is_fresh(file)]
        if todo:
            self._read(todo)
        return {path: self._digest(path) for path in paths}

    def _read(self, todo: list[Path]) -> None:
        shown: Iterable[Path] = todo
        if sum(file.stat().st_size for file in todo) > _SHOW_FROM_BYTES:
            shown = track(todo, "hashing videos", unit="file")
        with ThreadPoolExecutor(min(8, usable_cores())) as pool:
            for file, read in zip(shown, pool.map(_read, todo), strict=True):
                self._known[str(file)] = read
        write_json(self._store, self._known)

    def forget(self, paths: Iterable[Path]) -> None:
        """Take files and folders of frames out of the cache, so that it does not name them."""
        gone = {str(file) for path in paths if path.exists() for file in files_of(path)} & self._known.keys()
        if gone:
            self._known = {file: known for file, known in self._known.items() if file not in gone}
            self._asked = {file for file in self._asked if str(file) not in gone}
            write_json(self._store, self._known)

    def hold(self) -> bool:
        """Return whether every file that was asked for is still as it was when it was read."""
        return all(file.exists() and self._is_fresh(file) for file in self._asked)

    def _is_fresh(self, file: Path) -> bool:
        return self._known.get(str(file), [])[:-1] == _status(file)

    def _digest(self, path: Path) -> str:
        """Return the digest of a file, or the digest of the names and contents of all frames in a folder."""
        if not path.is_dir():
            return str(self._known[str(path)][-1])
        total = hashlib.sha256()
        for frame in files_of(path):
            total.update(f"{frame.name}\0{self._digest(frame)}\n".encode())
        return total.hexdigest()


def _status(file: Path) -> list[int | str]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(file: Path) -> list[int | str]:
    """Return the status of `file` and its digest, "" without read permission, which changes its ctime later.

    The status is that before the file is read: if it changes meanwhile, it is read again the next time.
    """
    status = _status(file)
    try:
        return [*status, file_sha256(file)]
    except PermissionError:
        return [*status, ""]
