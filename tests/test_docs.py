"""What pages name is there: files, tests, modules, commands, parameters, links. Figures are as measured."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from signloom.params.schema import Params

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "profiles/*.md", "data/demo/*.md")
    for path in ROOT.glob(pattern)
)
FOLDERS = "signloom|workflow_scripts|tests|tools|config|rules|profiles|benchmarks|docs"
PATH = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./*<>{{}}-]*")
TEST = re.compile(r"(?<![\w/])(tests/\w+\.py)::(\w+)")
MODULE = re.compile(r"(?<![\w/.])signloom(?:\.[A-Za-z_]\w*)+")
COMMAND = re.compile(r"python -m ((?:benchmarks|tools|workflow_scripts)\.\w+)")
TARGET = re.compile(r"`make ([a-z-]+)")
PARAMETER = re.compile(r"`(\w+)\.(\w+)(?=[`:= ])")
FIGURES = re.compile(r"\| ([^|]+) \| `(metrics/[\w/-]+\.json)` ([\w., ]+) \|")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SUFFIXES = {"npy", "npz", "csv", "json", "parquet", "yaml", "md", "py", "onnx", "pth"}


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def defined(file: Path) -> Iterator[str]:
    """Yield the names that the module `file` defines at its top."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def is_there(name: str) -> bool:
    """Whether the dotted `name` is a module, or something that a module defines."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        stem = ROOT.joinpath(*parts[:length])
        if length == len(parts) and (stem.is_dir() or stem.with_suffix(".py").is_file()):
            return True
        if stem.with_suffix(".py").is_file():
            return parts[length] in set(defined(stem.with_suffix(".py")))
    return False


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = {found.rstrip(".") for found in PATH.findall(text_of(page))}
    # `mine` is what the reader calls a preset
    named = {path for path in named if not re.search(r"[<>{}]|\bmine\b", path)}
    assert [path for path in sorted(named) if not list(ROOT.glob(path.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    for file, name in TEST.findall(text_of(page)):
        assert name in set(defined(ROOT / file)), f"{file}::{name}"


@pytest.mark.parametrize("page", PAGES)
def test_every_module_command_and_target_that_a_page_names_is_there(page: str) -> None:
    text = text_of(page)
    assert [name for name in {*MODULE.findall(text), *COMMAND.findall(text)} if not is_there(name)] == []
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M))
    assert set(TARGET.findall(text)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_parameter_that_a_page_names_is_one(page: str) -> None:
    for section, key in PARAMETER.findall(text_of(page)):
        field = Params.model_fields.get(section)
        if field is not None and key not in SUFFIXES:
            assert key in field.annotation.model_fields, f"{section}.{key}"  # type: ignore[union-attr]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in LINK.findall(text_of(page)):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.M)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, target


def test_figures_beside_those_of_the_design_documents_stand_in_the_metric_files() -> None:
    rows = FIGURES.findall(text_of("docs/design/from-the-documents.md"))
    assert len(rows) >= 6
    for shown, file, keys in rows:
        metrics = json.loads(text_of(file))
        for number, key in zip(re.findall(r"\d+\.\d+", shown), keys.split(", "), strict=True):
            value = metrics
            for part in key.split("."):
                value = value[part]
            # both are rounded, the metric file to four decimals
            unit = 10.0 ** -len(number.partition(".")[2])
            assert abs(float(number) - value) <= (unit + 1e-4) / 2, f"{file} {key} is {value}"
