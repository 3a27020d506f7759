"""Read and write checkpoints: only tensors and plain data, and equal bytes for equal training."""

import hashlib
import io
import pickle
import platform
import struct
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from signloom.errors import SignloomError
from signloom.files import atomic
from signloom.git import GitFailed, ask_git

_DIGEST = b"signloom sha256 "
PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "tokenizers", "transformers", "jiwer", "sacrebleu")


def save(path: Path, content: dict[str, Any]) -> None:
    """Write `content` (nested dicts and lists of tensors, numbers, strings, None) in one step."""
    buffer = io.BytesIO()
    torch.save(_canonical(content), buffer)
    with atomic(path) as part:
        part.write_bytes(_with_digest(buffer.getvalue()))


def load(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Return the content of a checkpoint; no code in the file is executed.

    Raises SignloomError if the file is not a checkpoint of tensors and plain data, or has changed since it
    was saved, and OSError or MemoryError if it could not be read.
    """
    try:
        _check_digest(path)
        content = torch.load(path, map_location=device, weights_only=True)
    except (ValueError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SignloomError(
            f"{path}: not a checkpoint of tensors and plain data ({reason}); train it again"
        ) from error
    if not isinstance(content, dict):
        raise SignloomError(
            f"{path}: not a checkpoint: expected a mapping, got a {type(content).__name__}; train it again"
        )
    return content


def _with_digest(archive: bytes) -> bytes:
    """Return a zip archive that had no comment, with the digest of its bytes as its comment."""
    note = _DIGEST + hashlib.sha256(archive).hexdigest().encode()
    return archive[:-2] + struct.pack("<H", len(note)) + note


def _check_digest(path: Path) -> None:
    """Raise SignloomError unless the file ends in the digest of its bytes, and ValueError if it has none.

    The digest is the comment of the zip archive that PyTorch writes, so PyTorch reads the file as it is. The
    archive's last two bytes are the length of the comment, and count as 0.
    """
    data = path.read_bytes()
    end = len(data) - len(_DIGEST) - 64
    if end < 0 or not data[end:].startswith(_DIGEST):
        raise ValueError("it has no digest")
    found = hashlib.sha256(memoryview(data)[: end - 2])
    found.update(b"\0\0")
    length = struct.pack("<H", len(data) - end)
    if found.hexdigest().encode() != data[end + len(_DIGEST) :] or data[end - 2 : end] != length:
        raise SignloomError(
            f"{path}: has changed since it was written; delete it, so that its stage runs again"
        )


def _canonical(value: Any) -> Any:
    """Return `value` with its tensors copied to the CPU, each with its own storage, and its strings interned.

    Pickle writes a repeated object as a reference. Without this, a resumed run would share other objects than
    an uninterrupted one and give other bytes.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous().clone()
    if isinstance(value, dict):
        return {_canonical(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, str):
        return sys.intern(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}; convert it to plain data first")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a checkpoint's numbers depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def library_commit(folder: Path | None = None) -> str:
    """Return the last commit that changed the library, with `-dirty` appended if it was modified since.

    `folder` defaults to the library's own. The answer is `unknown` outside git or before the first commit. It
    is so too where git fails, and then a warning has git's own line.
    """
    folder = folder or Path(__file__).parents[1]
    try:
        commit = ask_git(folder, "log", "-1", "--format=%H", "--", ".")
        changed = commit and ask_git(folder, "status", "--porcelain", "--", ".")
    except GitFailed as error:
        print(f"warning: the checkpoint names no commit: {error}", file=sys.stderr)
        return "unknown"
    return (commit or "unknown") + ("-dirty" if changed else "")
