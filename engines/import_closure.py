"""Find the project's modules that a stage uses, which both engines need as code dependencies.

Neither engine follows Python imports, so they are collected from the source: every `import signloom...` in
the entry point and, recursively, in the imported modules, imports inside functions included. A table in
YAML beside a module, with the same name, counts as its code; so do the tables of a package that share no
module's name.
"""

import ast
import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from signloom.files import file_sha256

# where the workflow stands; a project that uses it as a Snakemake module has another working folder
WORKFLOW = Path(__file__).parent.parent
# what files import, so that the engines, which start often, need not parse them each time
KNOWN = Path(".snakemake/signloom_code.json")
_new: list[str] = []


def in_workflow(path: Path) -> Path:
    """Return the place of a file of the workflow: relative to the working folder if it is there."""
    return path if path.exists() else WORKFLOW / path


def code_of(stage: str, root: Path = Path()) -> list[str]:
    """Return the sorted paths of the modules that `stage` uses, relative to a `root` that has them."""
    if not (root / "workflow_scripts").exists():
        return [str(WORKFLOW / path) for path in code_of(stage, WORKFLOW)]
    entry = f"workflow_scripts/{stage}.py"
    todo, found = [entry, "workflow_scripts/__init__.py"], set()
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo.extend(_imports(root, path))
    _remember()
    return sorted(found)


def local_code_of(stage: str) -> list[str]:
    """Return the same for a rule, marked as files that are not kept in object storage."""
    # a slow import, which DVC's stage `code` should not wait for
    from snakemake.io import local

    return list(local(code_of(stage)))


def digest_of(stage: str) -> str:
    """Return one digest of the modules that `stage` uses.

    As a parameter of a rule it is what the code was when a job was planned: the time of a module that was
    edited while the job ran is older than that of its products.
    """
    total = hashlib.sha256()
    for path in code_of(stage):
        total.update(bytes.fromhex(_digest(path)))
    return total.hexdigest()


@cache
def _digest(path: str) -> str:
    return file_sha256(Path(path))


@cache
def _imports(root: Path, path: str) -> tuple[str, ...]:
    """Return the project's files that the module at `path` imports, `__init__.py` files included."""
    if not path.endswith(".py"):
        return ()
    files: set[str] = set()
    for name in _source(root / path).names:
        parts = name.split(".")
        if parts[0] in ("signloom", "workflow_scripts"):
            for depth in range(1, len(parts) + 1):
                files.update(_files_of(root, "/".join(parts[:depth])))
    return tuple(sorted(files))


@cache
def _files_of(root: Path, stem: str) -> list[str]:
    """Return the files of a module or a package, `stem` its path without a suffix."""
    modules = [path for path in (f"{stem}.py", f"{stem}/__init__.py") if has_code(root / path)]
    beside = [root / f"{stem}.yaml"] if (root / f"{stem}.yaml").is_file() else []
    inside = [path for path in (root / stem).glob("*.yaml") if not path.with_suffix(".py").exists()]
    return [*modules, *(str(path.relative_to(root)) for path in (*beside, *inside))]


def has_code(path: Path) -> bool:
    """Return whether a file has more than a docstring; a package's own file often has none."""
    return path.is_file() and _source(path).statements > 0


class _Source(NamedTuple):
    """What a file imports, by full names, and how many statements it has besides a docstring."""

    names: list[str]
    statements: int


@cache
def _source(path: Path) -> _Source:
    status = path.stat()
    place, mark = str(path.resolve()), [status.st_mtime_ns, status.st_size]
    entry = _known().get(place)
    if isinstance(entry, list) and len(entry) == 3 and entry[0] == mark:
        return _Source(*entry[1:])
    tree = ast.parse(path.read_text("utf-8"), str(path))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    source = _Source(sorted(names), len(tree.body) - (ast.get_docstring(tree) is not None))
    _known()[place] = [mark, *source]
    _new.append(place)
    return source


@cache
def _known() -> dict[str, Any]:
    """Return what an earlier process found: a shortcut only, so a damaged file counts as none."""
    with suppress(OSError, ValueError):
        known = json.loads(KNOWN.read_text("utf-8"))
        if isinstance(known, dict):
            return known
    return {}


def _remember() -> None:
    """Keep what was found, where the folder can be written."""
    if not _new or not KNOWN.parent.is_dir():
        return
    _new.clear()
    with suppress(OSError):
        part = KNOWN.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(_known()), "utf-8")
        part.replace(KNOWN)
