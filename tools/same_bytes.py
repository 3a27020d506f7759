"""Compare two builds: every product in build/ and metrics/, byte for byte.

    python -m tools.same_bytes FOLDER_A FOLDER_B

Logs, benchmark files, scratch, records of jobs and the report are left out, because they contain times or
digests of such files.
"""

import sys
from pathlib import Path

from signloom.files import hash_files

LEFT_OUT = {"logs", "benchmarks", "scratch", "records", "code", "report"}


def products(folder: Path) -> dict[str, str]:
    """Return the hashes of all products in `folder` by relative path."""
    files = [path for top in ("build", "metrics") for path in (folder / top).rglob("*") if path.is_file()]
    kept = [path for path in files if not LEFT_OUT.intersection(path.relative_to(folder).parts)]
    kept = [path for path in kept if path.suffix != ".part"]
    return {path.relative_to(folder).as_posix(): hash_files([path]) for path in sorted(kept)}


def differences(one: dict[str, str], two: dict[str, str]) -> list[str]:
    """Return the paths that are missing in one of the builds or differ."""
    return sorted(path for path in {*one, *two} if one.get(path) != two.get(path))


def main(argv: list[str] | None = None) -> int:
    folders = [Path(folder) for folder in (sys.argv[1:] if argv is None else argv)]
    if len(folders) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    one, two = (products(folder) for folder in folders)
    different = differences(one, two)
    for path in different:
        where = " (missing in one)" if (path in one) != (path in two) else ""
        print(f"differs: {path}{where}")
    print(f"{len(one)} and {len(two)} products, {len(different)} different")
    return 1 if different or not one else 0


if __name__ == "__main__":
    sys.exit(main())
