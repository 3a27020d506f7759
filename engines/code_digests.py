"""Write the digests of the code of stages, for DVC.

python -m engines.code_digests [--preset NAME] STAGE...

DVC writes the whole dvc.lock after every stage. With every module of every stage in it, that took most of
DVC's own time. So one stage of DVC, `code`, depends on all modules and writes build/code/STAGE.txt for each
other stage, which depends on this file alone.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.dvc_files import stages_of, target
from engines.import_closure import code_of
from signloom.files import file_sha256, write_text
from signloom.preset_names import folder_of
from signloom.products import BUILD

STAGE = "code"
_MODULE = "engines.code_digests"


def command(preset: str, stages: Sequence[str]) -> str:
    """Return the command of the stage that writes the digests of `stages`."""
    return " ".join(["python", "-m", _MODULE, *(["--preset", preset] if preset else []), *stages])


def digests(preset: str | None, stage: str) -> str:
    """Return the path of the digests of a stage."""
    return (BUILD / folder_of(preset) / STAGE / f"{stage}.txt").as_posix()


def is_digests(path: str) -> bool:
    """Return whether `path` is what this module writes."""
    return Path(path).parent.name == STAGE and Path(path).suffix == ".txt"


def text_of(stage: str) -> str:
    """Return a line for each module of a stage: its SHA-256 and its path."""
    return "".join(f"{file_sha256(Path(path))} {path}\n" for path in code_of(stage))


def write(preset: str | None, stages: Sequence[str]) -> None:
    """Write the digests of `stages`. Files that are right stay."""
    for stage in stages:
        path, text = Path(digests(preset, stage)), text_of(stage)
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


def refresh(preset: str | None) -> None:
    """Write the digests that the dvc.yaml of `preset` names, as its stage would."""
    write(preset, [Path(out).stem for out in stages_of(preset).get(STAGE, {}).get("outs", [])])


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", metavar="NAME")
    parser.add_argument("stage", nargs="+")
    args = parser.parse_args(argv)
    try:
        found = {path for stage in args.stage for path in code_of(stage)}
    except SyntaxError as error:
        print(f"error: {error.filename}: line {error.lineno}: {error.msg}", file=sys.stderr)
        return 2
    named = stages_of(args.preset).get(STAGE, {}).get("deps", found)
    if new := sorted(found.difference(named)):
        given = f" PRESET={args.preset}" if args.preset else ""
        file = target(Path(), args.preset)
        print(
            f"error: {file} does not name {new[0]}, which is code now; run make dvc{given}", file=sys.stderr
        )
        return 2
    write(args.preset, args.stage)
    return 0


if __name__ == "__main__":
    sys.exit(main())
