"""Checkpoints: tensors and plain data only, equal bytes for equal training, and where they come from."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from signloom.errors import SignloomError
from signloom.files import atomic

PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "tokenizers", "transformers", "jiwer", "sacrebleu")


def save(path: Path, content: dict[str, Any]) -> None:
    """Write `content` (nested dicts and lists of tensors, numbers, strings, None) in one step."""
    buffer = io.BytesIO()
    torch.save(_canonical(content), buffer)
    with atomic(path) as part:
        part.write_bytes(buffer.getbuffer())


def load(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Return the content of a checkpoint; nothing in it is ever executed.

    Raises SignloomError where the file is no checkpoint of tensors and plain data.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise SignloomError(
            f"{path}: not a checkpoint of tensors and plain data ({reason}); train it again"
        ) from error
    if not isinstance(content, dict):
        raise SignloomError(f"{path}: a checkpoint is a mapping, this is a {type(content).__name__}")
    return content


def _canonical(value: Any) -> Any:
    """Return `value` with tensors on the CPU in storage of their own, and with strings interned.

    Pickle writes a second mention of one object as a reference: what is one object must not depend on
    whether this run was resumed.
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
    raise TypeError(f"a checkpoint holds no {type(value).__name__}")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a checkpoint's numbers depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def git_commit(folder: Path | None = None) -> str:
    """Return the last commit that touched the library, `-dirty` after it if modified since.

    `folder` is the library's own by default. Outside git, or before its first commit, it is `unknown`.
    """
    folder = folder or Path(__file__).parents[1]
    commit = _git(folder, "log", "-1", "--format=%H", "--", ".")
    if not commit:
        return "unknown"
    return commit + ("-dirty" if _git(folder, "status", "--porcelain", "--", ".") else "")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
