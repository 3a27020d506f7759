"""Download one file over HTTP: resumable, checked against its SHA-256, and atomic."""

import fcntl
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from signloom.errors import SignloomError
from signloom.files import file_sha256
from signloom.progress import track

_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_ATTEMPTS = 4  # without a single new byte


def download(url: str, target: Path, sha256: str, pause_s: float = 1.0) -> str:
    """Download `url` to `target` and return its hex SHA-256, which must begin with `sha256`.

    If the connection breaks, `<target>.part` keeps the data, and this call or a later one completes it; where
    the file system has no locks, only this call does.
    Processes that want the same file wait for the first. `pause_s` doubles after every attempt without new
    data. Raises SignloomError, with the manual steps, if the file cannot be fetched or is the wrong one.
    """
    if target.exists() and (digest := file_sha256(target)).startswith(sha256):
        return digest  # without the lock, because the folder may be read-only
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked_part(target) as part:
        if target.exists() and (digest := file_sha256(target)).startswith(sha256):
            return digest
        resumed = part.exists()
        digest = _complete(url, part, target, pause_s)
        if resumed and not digest.startswith(sha256):
            # the old part may belong to another version of the file
            part.unlink()
            digest = _complete(url, part, target, pause_s)
        if not digest.startswith(sha256):
            part.unlink()
            raise SignloomError(
                f"{url} has sha256 {digest}, expected {sha256}; it was not kept. Fetch the right "
                f"{target.name} by hand and put it in {target.parent}"
            )
        part.replace(target)
        return digest


@contextmanager
def _locked_part(target: Path) -> Iterator[Path]:
    """Hold the lock of `target` and yield the file for its data.

    Some file systems of clusters have no locks. There each process has its own, which does not stay.
    """
    with target.with_name(target.name + ".lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            part = target.with_name(f"{target.name}.{os.getpid()}.part")
            try:
                yield part
            finally:
                part.unlink(missing_ok=True)
        else:
            yield _part(target)


def _part(target: Path) -> Path:
    """Return the file for the data of `target` that stays if the connection breaks."""
    return target.with_name(target.name + ".part")


def _complete(url: str, part: Path, target: Path, pause_s: float) -> str:
    """Fetch the missing rest of `part`, over several connections if needed; return its SHA-256."""
    fruitless = 0
    with part.open("ab") as file:
        while True:
            before = file.tell()
            try:
                _fetch(url, file, target.name)
                file.flush()
                os.fsync(file.fileno())
                return file_sha256(part)
            except (OSError, http.client.HTTPException) as error:
                fruitless = 0 if file.tell() > before else fruitless + 1
                refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
                if refused or fruitless == _ATTEMPTS:
                    reason = getattr(error, "reason", None) or error
                    kept = "; the data so far is kept" if file.tell() and part == _part(target) else ""
                    raise SignloomError(
                        f"{url} cannot be fetched ({reason}). Fetch it where there is a network and put it "
                        f"in {target.parent} as {target.name}{kept}"
                    ) from error
                time.sleep(pause_s * 2**fruitless)


def _fetch(url: str, file: BinaryIO, label: str) -> None:
    """Append the missing rest of `url` to `file`; raises OSError or HTTPException on a broken connection."""
    have = file.tell()
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # no more data: the part is complete, or its hash will be wrong
            return
        raise
    with response:
        if have and not _continues(response, have):
            file.truncate(0)
            file.seek(0)
        missing = response.length
        chunks = iter(lambda: response.read(_CHUNK), b"")
        total = None if missing is None else -(-missing // _CHUNK)
        got = 0
        for chunk in track(chunks, label, total, "MiB"):
            file.write(chunk)
            got += len(chunk)
        if missing is not None and got < missing:
            raise http.client.IncompleteRead(b"", missing - got)


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    """Return whether the answer starts at byte `have`, as requested."""
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status == 206 and start is not None and int(start[1]) == have
