"""Write the digests of the code of stages, for DVC.

python -m engines.code_digests FOLDER STAGE...

DVC writes the whole dvc.lock after every stage. With every module of every stage in it, that took most of
DVC's own time. So one stage of DVC, `code`, depends on all modules and writes FOLDER/STAGE.txt for each other
stage, which depends on this file alone.
"""

import argparse
import hashlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from engines.import_closure import code_of
from signloom.errors import PRESETS
from signloom.files import file_sha256, write_text
from signloom.products import BUILD

STAGE = "code"
_MODULE = "engines.code_digests"


def command(folder: str, stages: Sequence[str]) -> str:
    """Return the command of the stage that writes the digests of `stages`."""
    return " ".join(["python", "-m", _MODULE, folder, *stages])


def digests(folder: str, stage: str) -> str:
    """Return the path of the digests of a stage."""
    return f"{folder}/{stage}.txt"


def is_digests(path: str) -> bool:
    """Return whether `path` is what this module writes."""
    return Path(path).parent.name == STAGE and Path(path).suffix == ".txt"


def text_of(stage: str) -> str:
    """Return a line for each module of a stage: its SHA-256 and its path."""
    return "".join(f"{file_sha256(Path(path))} {path}\n" for path in code_of(stage))


def write(folder: str, stages: Sequence[str]) -> None:
    """Write the digests of `stages`. Files that are right stay."""
    for stage in stages:
        path, text = Path(digests(folder, stage)), text_of(stage)
        if _read(path) != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)


def is_current(path: str) -> bool:
    """Return whether digests say what code a stage has now."""
    return _read(Path(path)) == text_of(Path(path).stem)


def is_recorded(dep: Any) -> bool:
    """Return whether DVC recorded the digests of the code that a stage has now; `dep` is DVC's dependency."""
    now = hashlib.md5(text_of(Path(dep.def_path).stem).encode(), usedforsecurity=False).hexdigest()
    return bool(dep.hash_info.value == now)


def refresh(file: Path) -> None:
    """Write the digests that the dvc.yaml `file` names, as its stage would; nothing if DVC cannot read it."""
    words = shlex.split(_stage(file).get("cmd", ""))
    if _MODULE in words:
        folder, *names = words[words.index(_MODULE) + 1 :]
        write(folder, names)


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def _stage(file: Path) -> dict[str, Any]:
    """Return the stage `code` of a dvc.yaml, empty if it has none."""
    try:
        tree = yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (FileNotFoundError, yaml.YAMLError):
        return {}  # DVC, which reads it next, says what is wrong
    return dict(((tree or {}).get("stages") or {}).get(STAGE, {}))


def _file_of(folder: str) -> Path:
    """Return the dvc.yaml whose digests lie in `folder`, build/code or build/NAME/code."""
    name = Path(folder).parent.name
    return PRESETS / name / "dvc.yaml" if Path(folder).parent != BUILD else Path("dvc.yaml")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("stage", nargs="+")
    args = parser.parse_args(argv)
    file = _file_of(args.folder)
    try:
        found = {path for stage in args.stage for path in code_of(stage)}
    except SyntaxError as error:
        print(f"error: {error.filename}: line {error.lineno}: {error.msg}", file=sys.stderr)
        return 2
    if new := sorted(found.difference(_stage(file).get("deps", found))):
        name = Path(args.folder).parent.name if file.parent != Path() else ""
        one = not name or (PRESETS / f"{name}.yaml").exists()
        given = f" PRESET={name if one else name.replace('-', ',')}" if name else ""
        print(
            f"error: {file} does not name {new[0]}, which is code now; run make dvc{given}", file=sys.stderr
        )
        return 2
    write(args.folder, args.stage)
    return 0


if __name__ == "__main__":
    sys.exit(main())
