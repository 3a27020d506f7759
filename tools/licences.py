"""Print the licence of every locked package, and fail if one is unknown or binds those who use it.

    python -m tools.licences

The licence is what the installed package states, or the first line of its licence file. Packages of other
systems are locked too, and named as not installed.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path("requirements.lock")
# words of licences under which a program may use the package without opening its own code
FREE = re.compile(
    r"\b(MIT|MIT-0|MIT-CMU|0?BSD|Apache|ISC|ISCL|MPL|Mozilla Public|PSF|Python Software Foundation"
    r"|Zope Public|Public Domain|Zlib|CC0)\b",
    re.IGNORECASE,
)
# looked up by hand, because the package says nothing, or something else
LOOKED_UP = {
    "pose-format": "MIT",
    "pympi-ling": "MIT",
    "asyncssh": "EPL-2.0 OR GPL-2.0-or-later",
    "grandalf": "GPL-2.0 OR EPL-1.0",
    "pygit2": "GPL-2.0 with linking exception",
}
# not free in that sense; each is used unchanged, by DVC alone, and is part of nothing that Signloom hands on
BY_DVC_ALONE = {"asyncssh", "grandalf", "pygit2"}


def main() -> int:
    """Print the table; return 1 if a licence is not accepted."""
    bad = 0
    for name in locked(LOCK):
        licence = licence_of(name)
        accepted = licence is None or is_accepted(name, licence)
        bad += not accepted
        print(f"{'' if accepted else 'NOT ACCEPTED: '}{name}: {licence or 'not installed here'}")
    return 1 if bad else 0


def locked(lock: Path) -> list[str]:
    """Return the names of the packages in a lock file."""
    return sorted({*re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text("utf-8"), re.M)}, key=str.lower)


def is_accepted(name: str, licence: str) -> bool:
    """Return whether a package may be depended on."""
    return bool(FREE.search(licence)) or name.lower() in BY_DVC_ALONE


def licence_of(name: str) -> str | None:
    """Return the licence of an installed package, "unknown" if it states none, None if it is not there."""
    if name.lower() in LOOKED_UP:
        return LOOKED_UP[name.lower()]
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    said = found.metadata
    classified = [
        line.split(" :: ")[-1]
        for line in said.get_all("Classifier") or []
        if line.startswith("License") and line != "License :: OSI Approved"
    ]
    stated = said["License-Expression"] or "; ".join(classified) or (said["License"] or "").split("\n")[0]
    return stated.strip() or _first_line(found) or "unknown"


def _first_line(found: Distribution) -> str:
    files = [file for file in found.files or [] if "licen" in file.name.lower()]
    return files[0].read_text("utf-8").strip().split("\n")[0] if files else ""


if __name__ == "__main__":
    sys.exit(main())
