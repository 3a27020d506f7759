"""Say in one line that a disk is full or may not be written, whatever library noticed it."""

import errno
import shutil
from pathlib import Path

from signloom.errors import SignloomError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_SHUT = {errno.EACCES, errno.EPERM, errno.EROFS}
_BROKEN = {errno.EIO, errno.EFBIG}
_LEAST_FREE = 1 << 20  # bytes; some libraries do not say why they could not write


def disk_error(error: BaseException, what: str, folder: Path) -> SignloomError | None:
    """Return an error that says how the disk failed `what`, None if `error` is about something else.

    `folder` is where `what` writes; it is looked at where `error` does not say what the matter was.
    """
    for cause in _chain(error):
        if not isinstance(cause, OSError):
            continue
        place = cause.filename2 or cause.filename or folder
        if cause.errno in _FULL:
            return _full(what, place)
        if cause.errno in _SHUT:
            advice = "give this user the right to read and write there"
            return SignloomError(f"{what}: {place}: {cause.strerror}; {advice}")
        if cause.errno == errno.ENAMETOOLONG:
            return SignloomError(f"{what}: {place}: the name is too long; give a shorter one")
        if cause.errno in _BROKEN:
            return SignloomError(f"{what}: {place}: {cause.strerror}; check the disk")
    if isinstance(error, OSError | RuntimeError) and _free(folder) < _LEAST_FREE:
        return _full(what, folder)
    return None


def _full(what: str, place: object) -> SignloomError:
    return SignloomError(
        f"{what}: {place}: no space left on the disk; free some and start again, finished work is kept"
    )


def _free(folder: Path) -> int:
    there = next(path for path in (folder, *folder.parents, Path("/")) if path.exists())
    return shutil.disk_usage(there).free


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
