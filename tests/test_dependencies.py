"""Every direct dependency is explained, pinned, and fetched from wherever the user's installer looks."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from engines.conda_env import requirements
from tools import licences as tools_licences
from tools.licences import is_accepted, licence_of

# builds of torch differ by machine, so the Makefile installs it before the lock
OUTSIDE_THE_LOCK = {"torch"}
LOCKS = ("requirements.lock", "requirements-backbones.lock", "requirements-store.lock")
EXTRAS = ("video", "train", "backbones", "workflow", "store", "corpus", "docs", "dev")
# what each lock is made of, as the Makefile says
LOCKED = {
    "requirements.lock": ("train", "workflow", "dev"),
    "requirements-backbones.lock": ("backbones",),
    "requirements-store.lock": ("store",),
}


def explained(root: Path) -> dict[str, list[str]]:
    """Return the cells beside each package named in the tables of docs/dependencies.md."""
    found: dict[str, list[str]] = {}
    for line in (root / "docs/dependencies.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] not in ("package", "---"):
            # a package of both files is explained where it stands first
            found = {canonicalize_name(name): cells[1:] for name in cells[0].split(", ")} | found
    return found


def locked(root: Path, lock: str = "requirements.lock") -> dict[str, set[str]]:
    """Return the versions of each package that a lock pins, one a Python where they differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", (root / lock).read_text("utf-8"), re.M
    ):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def project(root: Path) -> dict[str, Any]:
    return dict(tomllib.loads((root / "pyproject.toml").read_text("utf-8")))


def test_every_direct_dependency_is_explained_with_its_licence(root: Path) -> None:
    wanted = {canonicalize_name(one.name) for one in requirements(root, *EXTRAS)}
    table = explained(root)
    unexplained = [name for name in wanted if not all(table.get(name, [""]))]
    assert unexplained == [], "add a line to docs/dependencies.md"
    assert set(table) == wanted, "remove what is not required from docs/dependencies.md"


def test_every_dependency_stands_once(root: Path) -> None:
    tree = project(root)["project"]
    extras = tree["optional-dependencies"]
    assert set(extras) == set(EXTRAS)
    names = [Requirement(line).name for group in (tree["dependencies"], *extras.values()) for line in group]
    assert sorted({*names} - {"signloom"}) == sorted(name for name in names if name != "signloom")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_every_direct_dependency_at_a_version_asked_for(root: Path, lock: str) -> None:
    pins = locked(root) | locked(root, lock)
    for one in requirements(root, *LOCKED[lock]):
        if canonicalize_name(one.name) not in OUTSIDE_THE_LOCK:
            versions = pins.get(canonicalize_name(one.name))
            assert versions, f"{one.name} is not in {lock}; run `make lock`"
            assert all(one.specifier.contains(version, prereleases=True) for version in versions), one


def test_the_makefile_installs_the_torch_of_pyproject(root: Path) -> None:
    (torch,) = [one for one in requirements(root, "train") if one.name in OUTSIDE_THE_LOCK]
    command = ["make", "--no-print-directory", "--dry-run", "--always-make", "setup"]
    printed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert re.search(rf"uv pip install .* {re.escape(str(torch))}$", printed, re.M), printed


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
    excluded = project(root)["tool"]["uv"]["exclude-dependencies"]
    assert {"jax", "jaxlib", "opencv-contrib-python"} <= set(excluded)
    assert set(map(canonicalize_name, excluded)).isdisjoint(locked(root))


def test_the_licence_file_is_the_whole_apache_licence(root: Path) -> None:
    # the SHA-256 of the text as the Apache Software Foundation publishes it
    digest = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256((root / "LICENSE").read_bytes()).hexdigest() == digest
    assert project(root)["project"]["license"] == "Apache-2.0"


def test_every_locked_package_has_a_known_licence_that_asks_for_nothing_in_return(root: Path) -> None:
    licences = {name: licence_of(name) for name in tools_licences.locked(root / "requirements.lock")}
    assert [name for name, found in licences.items() if found and not is_accepted(name, found)] == []
    assert licences["numpy"] and "BSD-3-Clause" in licences["numpy"]


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "AGPL", "LGPL-2.1", "proprietary", "unknown", ""])
def test_licences_that_bind_those_who_use_a_package_are_not_accepted(licence: str) -> None:
    assert not is_accepted("some-package", licence)


@pytest.mark.parametrize("module", ["signloom.inference.networks", "benchmarks.runtimes"])
def test_onnxruntime_leaves_no_mark_by_which_it_reports(root: Path, tmp_path: Path, module: str) -> None:
    off = {"CI", "ORT_DISABLE_TELEMETRY"}
    others = {name: value for name, value in os.environ.items() if name not in off}
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(tmp_path))
    command = [sys.executable, "-c", f"import {module}"]
    subprocess.run(command, cwd=root, env=others | places, check=True)
    assert not list(tmp_path.rglob("*"))
