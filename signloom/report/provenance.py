"""The origin of the report: commit, packages, parameters, checksums of its input files."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from signloom.files import file_sha256
from signloom.git import GitFailed, ask_git
from signloom.report.labels import LABELS
from signloom.report.tables import Table


def commit_of(root: Path) -> str:
    """Return the commit checked out in `root` and whether files differ from it, or why it is unknown."""
    try:
        top, commit = ask_git(root, "rev-parse", "--show-toplevel"), ask_git(root, "rev-parse", "HEAD")
        changed = ask_git(root, "status", "--porcelain", "--untracked-files=no")
    except GitFailed as error:
        return f"unknown: {error}"
    if not commit or Path(top).resolve() != root.resolve():
        return "unknown: not a git checkout with a commit"
    return f"{commit}, with uncommitted changes" if changed else commit


def package_versions() -> list[tuple[str, str]]:
    """Return the installed versions of Python and of the packages that may change a score."""
    return [("python", platform.python_version()), *((name, _version(name)) for name in LABELS["packages"])]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def parameters(sections: Mapping[str, Any]) -> Table:
    """Return every parameter of `sections` as `section.key` with its value, in the order of params.yaml."""
    rows = [
        (f"{section}.{key}", value if isinstance(value, str) else json.dumps(value))
        for section, keys in sections.items()
        for key, value in keys.items()
    ]
    return Table("parameters", "Every parameter of this build", ["Parameter", "Value"], rows, numeric=9)


def checksums(files: Sequence[Path], folder: Path) -> list[tuple[str, str, str]]:
    """Return name, address from `folder` and SHA-256 of each file.

    A name has as many folders as tell it from the others.
    """
    return [(_shortest(path, files), _address(path, folder), file_sha256(path)) for path in files]


def _address(path: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def _shortest(path: Path, files: Sequence[Path]) -> str:
    """Return the shortest end of `path`, in whole parts, that is the end of no other of `files`."""
    ends = ("/".join(path.parts[-depth:]) for depth in range(1, len(path.parts)))
    others = [f"/{other.as_posix()}" for other in files if other != path]
    return next((end for end in ends if not any(it.endswith(f"/{end}") for it in others)), path.as_posix())
