"""Write environment.yml, for conda users, from requirements.in and requirements.lock.

python -m tools.conda_env [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HEAD = """\
# Written by `make env` from requirements.in and requirements.lock. `make setup` is the tested way; this one
# is for people who live in conda: `conda env create --file environment.yml`.
name: signloom
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - git
  - make
  # the OpenCV that MediaPipe's package asks for wants these
  - libgl
  - glib
  - pip:
"""


def render(root: Path) -> str:
    """Return the text of environment.yml: every direct requirement at the version of the lock."""
    locked = locked_versions(root)
    lines = [f"      - {name}=={version}" for name, version in direct(root, locked).items()]
    return HEAD + "\n".join(lines) + "\n"


def direct(root: Path, locked: dict[str, str]) -> dict[str, str]:
    """Return the direct requirements with the versions to install, in the order of requirements.in."""
    found = {}
    for line in (root / "requirements.in").read_text("utf-8").splitlines():
        name, _, version = line.partition("#")[0].strip().partition("==")
        if name:
            found[name] = version or locked[name]
    return found


def locked_versions(root: Path) -> dict[str, str]:
    """Return package versions by name as requirements.lock pins them."""
    text = (root / "requirements.lock").read_text("utf-8")
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, re.MULTILINE))


def main(argv: list[str] | None = None) -> int:
    path, text = Path("environment.yml"), render(Path())
    if "--check" in (sys.argv[1:] if argv is None else argv):
        return int(not path.exists() or path.read_text("utf-8") != text)
    path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
