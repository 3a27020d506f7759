"""Write the digests of the code of stages, for DVC.

python -m engines.code_digests FOLDER STAGE...

DVC writes the whole dvc.lock after every stage. With every module of every stage in it, that took most of
DVC's own time. So one stage of DVC, `code`, depends on all modules and writes FOLDER/STAGE.txt for each other
stage, which depends on this file alone.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from engines.import_closure import code_of
from signloom.files import file_sha256, write_text

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


def write(folder: str, stages: Sequence[str]) -> None:
    """Write a line for each module of each stage: its SHA-256 and its path. Files that are right stay."""
    for stage in stages:
        lines = [f"{file_sha256(Path(path))} {path}\n" for path in code_of(stage)]
        path, text = Path(digests(folder, stage)), "".join(lines)
        if not path.exists() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)


def refresh(file: Path) -> None:
    """Write the digests that the dvc.yaml `file` names, as its stage would; nothing if DVC cannot read it."""
    try:
        tree = yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (FileNotFoundError, yaml.YAMLError):
        return  # DVC, which reads it next, says what is wrong
    stages = (tree or {}).get("stages") or {}
    words = shlex.split(stages.get(STAGE, {}).get("cmd", ""))
    if _MODULE in words:
        folder, *names = words[words.index(_MODULE) + 1 :]
        write(folder, names)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("stage", nargs="+")
    args = parser.parse_args(argv)
    write(args.folder, args.stage)
    return 0


if __name__ == "__main__":
    sys.exit(main())
