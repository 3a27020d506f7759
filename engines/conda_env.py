"""Write environment.yml, for conda users, from pyproject.toml and the locks.

python -m engines.conda_env [--check]
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from engines.generated import write_generated

PYTHON = "3.11"
EXTRAS = ("backbones", "workflow", "dev")
LOCKS = ("requirements.lock", "requirements-backbones.lock")
HEAD = f"""\
# Written by `make env` from pyproject.toml and the locks. `make setup` is the tested way to install. With
# conda, run these commands instead. Then call snakemake and dvc yourself, because make uses .venv.
#   conda env create --file environment.yml
#   conda activate signloom
#   pip install --no-deps --no-build-isolation --editable .
name: signloom
channels:
  - conda-forge
dependencies:
  - python={PYTHON}
  - pip
  - git
  - make
  # libraries of the OpenCV that MediaPipe requires
  - libgl
  - glib
  - pip:
"""


def render(root: Path) -> str:
    """Return the text of environment.yml: every direct requirement at its locked version."""
    locked = locked_versions(root)
    pins = [
        (one.name, locked.get(canonicalize_name(one.name)) or exact(one))
        for one in requirements(root, *EXTRAS)
    ]
    lines = [f"      - {name}=={version}" for name, version in pins]
    return HEAD + "\n".join(lines) + "\n"


def requirements(root: Path, *extras: str) -> list[Requirement]:
    """Return the requirements of the package and of `extras`, nested extras included, without repeats."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, Requirement] = {}

    def add(lines: list[str]) -> None:
        for one in map(Requirement, lines):
            if one.name == project["name"]:
                for extra in sorted(one.extras):
                    add(project["optional-dependencies"][extra])
            else:
                found.setdefault(canonicalize_name(one.name), one)

    add(project["dependencies"])
    for extra in extras:
        add(project["optional-dependencies"][extra])
    return list(found.values())


def exact(one: Requirement) -> str:
    """Return the exact version that a requirement outside the locks asks for."""
    (version,) = [spec.version for spec in one.specifier if spec.operator == "=="]
    return version


def locked_versions(root: Path) -> dict[str, str]:
    """Return the package versions that the locks pin for `PYTHON` on Linux, by name."""
    here = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.7", "sys_platform": "linux"}
    found: dict[str, str] = {}
    for lock in LOCKS:
        for line in (root / lock).read_text("utf-8").splitlines():
            if line[:1].isalnum():
                one = Requirement(line.removesuffix("\\"))
                if one.marker is None or one.marker.evaluate(here):
                    (spec,) = one.specifier
                    found[canonicalize_name(one.name)] = spec.version
    return found


def main(argv: list[str] | None = None) -> int:
    path, text = Path("environment.yml"), render(Path())
    if "--check" in (sys.argv[1:] if argv is None else argv):
        return int(not path.exists() or path.read_text("utf-8") != text)
    return write_generated(path, text)


if __name__ == "__main__":
    sys.exit(main())
