"""Every direct dependency is explained, pinned, and fetched from wherever the user's installer looks."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# builds of torch differ by machine, so the Makefile installs it before the lock
OUTSIDE_THE_LOCK = {"torch"}
LOCKS = ("requirements.lock", "requirements-backbones.lock")
FILES = ("requirements.in", "requirements-backbones.in", "requirements-corpus.in")


def requirements(path: Path) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def explained(root: Path) -> dict[str, list[str]]:
    """Return the cells beside each package named in the tables of docs/dependencies.md."""
    found: dict[str, list[str]] = {}
    for line in (root / "docs/dependencies.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] not in ("package", "---"):
            # a package of both files is explained where it stands first
            found = {canonicalize_name(name): cells[1:] for name in cells[0].split(", ")} | found
    return found


def locked(root: Path) -> dict[str, str]:
    pins = re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (root / "requirements.lock").read_text("utf-8"), re.M
    )
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize("file", FILES)
def test_every_direct_dependency_is_explained_with_its_licence(root: Path, file: str) -> None:
    wanted = requirements(root / file)
    assert wanted
    table = explained(root)
    unexplained = [one.name for one in wanted if not all(table.get(canonicalize_name(one.name), [""]))]
    assert unexplained == [], "add a line to docs/dependencies.md"


def test_nothing_is_explained_that_is_not_required(root: Path) -> None:
    wanted = {canonicalize_name(one.name) for file in FILES for one in requirements(root / file)}
    assert set(explained(root)) == wanted


def test_the_lock_holds_every_direct_dependency_at_the_version_asked_for(root: Path) -> None:
    pins = locked(root)
    for one in requirements(root / "requirements.in"):
        if canonicalize_name(one.name) in OUTSIDE_THE_LOCK:
            assert f"TORCH := {one}" in (root / "Makefile").read_text("utf-8")
        else:
            version = pins.get(canonicalize_name(one.name))
            assert version is not None, f"{one.name} is not in requirements.lock; run `make lock`"
            assert one.specifier.contains(version, prereleases=True), f"{one}: the lock has {version}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_hashes(root: Path, lock: str) -> None:
    text = (root / lock).read_text("utf-8")
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]
    assert len(blocks) == len(re.findall(r"^[A-Za-z0-9]", text, re.M)) > 5
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_server_is_named_in_a_lock(root: Path, lock: str) -> None:
    text = (root / lock).read_text("utf-8")
    assert not re.search(r"https?:|//|@ |\.(org|com|io|net)\b", text)
    assert not re.search(r"^\s*--(?!hash=)", text, re.M), "an installer option such as an index"


def test_what_mediapipe_asks_for_in_vain_is_not_in_the_lock(root: Path) -> None:
    excluded = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["uv"][
        "exclude-dependencies"
    ]
    assert {"jax", "jaxlib", "opencv-contrib-python"} <= set(excluded)
    assert set(map(canonicalize_name, excluded)).isdisjoint(locked(root))


def test_the_licence_file_is_the_whole_apache_licence(root: Path) -> None:
    # the SHA-256 of the text as the Apache Software Foundation publishes it
    digest = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256((root / "LICENSE").read_bytes()).hexdigest() == digest
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
