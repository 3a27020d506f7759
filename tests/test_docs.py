"""What pages name is there: files, tests, modules, commands, parameters, links. Figures are as measured."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import signloom.__main__
from signloom.cli.commands import add_commands
from signloom.params.schema import Params

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "profiles/*.md", "data/demo/*.md")
    for path in ROOT.glob(pattern)
)
FOLDERS = "signloom|workflow_scripts|tests|tools|engines|demo_corpus|config|rules|profiles|benchmarks|docs"
PATH = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./*<>{{}}-]*")
TEST = re.compile(r"(?<![\w/])(tests/\w+\.py)::(\w+)")
MODULE = re.compile(r"(?<![\w/.])signloom(?:\.[A-Za-z_]\w*)+")
COMMAND = re.compile(r"python -m ((?:benchmarks|tools|engines|workflow_scripts)\.\w+)")
TARGET = re.compile(r"`make ([a-z-]+)")
PARAMETER = re.compile(r"`(\w+)\.(\w+)(?=[`:= ])")
FIGURES = re.compile(r"\| ([^|]+) \| `(metrics/[\w/-]+\.json)` ([\w., ]+) \|")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
CALL = re.compile(r"\bsignloom ([a-z][a-z-]*)([^`]*)")
OPTION = re.compile(r"--[a-z][a-z0-9-]*")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NUMBER = r"([−+-]?\d+(?:\.\d+)?)"
INTERVAL = re.compile(rf"{_NUMBER}\*{{0,2}} \({_NUMBER}(?:–| to ){_NUMBER}")
# sections of docs/results.md, and a row, whose figures come from other parameters than the committed files
UNCOMMITTED = (
    "Isolated signs of other signers, without depth\n",
    "More training clips on the demo\n",
    "Each signer left out on the demo\n",
    "The review queue\n",
    "On other processors\n",
)
UNCOMMITTED_ROW = "| convolutions |"
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


def test_every_pattern_finds_something_on_some_page() -> None:
    patterns = (PATH, TEST, MODULE, COMMAND, TARGET, PARAMETER, FIGURES, FENCED, LINK, CALL)
    text = "".join(map(text_of, PAGES))
    assert [pattern.pattern for pattern in patterns if not pattern.search(text)] == []


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


def code_of(page: str, language: str) -> list[str]:
    """Return the fenced blocks of `page` in one language."""
    return [text for name, text in FENCED.findall(text_of(page)) if name == language]


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options of each command of `python -m signloom`, as its help lists them."""
    commands = argparse.ArgumentParser().add_subparsers()
    add_commands(commands)
    return {name: set(OPTION.findall(parser.format_help())) for name, parser in commands.choices.items()}


def test_the_help_of_the_program_says_what_each_command_is_for(options: dict[str, set[str]]) -> None:
    assert [name for name in options if f"`{name}`" not in str(signloom.__main__.__doc__)] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_can_be_given(page: str, options: dict[str, set[str]]) -> None:
    presets = {path.stem for path in ROOT.glob("config/presets/*.yaml")} | {"mine"}
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M))
    for line in "".join(code_of(page, "sh")).replace("\\\n", " ").splitlines():
        command = line.partition("#")[0]
        for name, rest in CALL.findall(command):
            assert set(OPTION.findall(rest)) <= options[name], line
        assert {
            name for names in re.findall(r"preset=([\w,]+)", command) for name in names.split(",")
        } <= presets
        assert set(re.findall(r"\bmake ([a-z-]+)", command)) <= targets, line
        for section, key in re.findall(r"-S (\w+)\.(\w+)=", command):
            assert key in Params.model_fields[section].annotation.model_fields, line  # type: ignore[union-attr]


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_a_text_can_be_given(page: str, options: dict[str, set[str]]) -> None:
    for name, rest in re.findall(rf"`(?:python -m )?{CALL.pattern}`", FENCED.sub("", text_of(page))):
        assert set(OPTION.findall(rest)) <= options[name], f"signloom {name}{rest}"


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page_compiles_and_imports_what_is_there(page: str) -> None:
    for text in code_of(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("signloom"):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                assert [name for name in names if not is_there(name)] == []


def test_the_readme_fits_two_screens_and_shows_how_to_start() -> None:
    assert len(text_of("README.md").splitlines()) <= 95
    shell = "".join(code_of("README.md", "sh"))
    assert all(command in shell for command in ("make demo", "dvc exp run", "signloom predict"))
    assert "SignEngine.load" in "".join(code_of("README.md", "python"))


def test_every_page_of_docs_is_in_the_navigation_of_the_site() -> None:
    named = set(re.findall(r"[\w/-]+\.md", text_of("mkdocs.yml")))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert pages <= named


def test_every_stage_is_in_the_table_of_the_pipeline() -> None:
    scripts = {path.stem for path in ROOT.glob("workflow_scripts/[a-z]*.py")}
    named = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", text_of("docs/pipeline.md"), re.M)))
    )
    # the tables on request are described with clip features
    assert named == scripts - {"job", "side_by_side"}


def test_the_version_to_cite_is_that_of_the_package() -> None:
    cited = re.search(r"^version: (\S+)$", text_of("CITATION.cff"), re.M)
    assert cited and cited[1] == signloom.__version__


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


def intervals_in(metrics: object) -> Iterator[tuple[float, float, float]]:
    """Yield each figure of a metric file with its two bounds."""
    if isinstance(metrics, list):
        metrics = dict(enumerate(metrics))
    if not isinstance(metrics, dict):
        return
    for key, value in metrics.items():
        yield from intervals_in(value)
        for bounded in (key, f"{key}_by_signer"):
            bounds = metrics.get(f"{bounded}_low"), metrics.get(f"{bounded}_high")
            if isinstance(value, int | float) and None not in bounds:
                yield value, *bounds


@pytest.mark.parametrize("page", ["results", "design/alignment", "design/spotting", "design/boston104"])
def test_every_interval_of_a_page_with_results_stands_in_a_metric_file(page: str) -> None:
    files = (json.loads(file.read_text("utf-8")) for file in ROOT.glob("metrics/**/*.json"))
    measured = [found for metrics in files for found in intervals_in(metrics)]
    sections = text_of(f"docs/{page}.md").split("\n## ")
    lines = [line for text in sections if not text.startswith(UNCOMMITTED) for line in text.splitlines()]
    text = "\n".join(line for line in lines if not line.startswith(UNCOMMITTED_ROW))
    shown = INTERVAL.findall(text.replace("−", "-"))
    assert shown

    def is_measured(figures: tuple[str, ...]) -> bool:
        # both are rounded, the metric file to four decimals
        units = [10.0 ** -len(figure.partition(".")[2]) for figure in figures]
        return any(
            all(
                abs(float(figure) - value) <= (unit + 1e-4) / 2 + 1e-9
                for figure, value, unit in zip(figures, values, units, strict=True)
            )
            for values in measured
        )

    assert [figures for figures in shown if not is_measured(figures)] == []


def test_the_word_error_rate_in_the_readme_and_in_the_results_is_that_of_the_metrics() -> None:
    unseen = json.loads(text_of("metrics/sign2text.json"))["test_unseen_sentences"]["wer"]
    readme = re.search(r"gets (\d+) % of the words wrong", text_of("README.md"))
    results = re.search(r"\| word error rate of the decoder \|.*\| (\d\.\d+) ", text_of("docs/results.md"))
    assert readme and int(readme[1]) == round(100 * unseen)
    assert results and float(results[1]) == round(unseen, 3)
