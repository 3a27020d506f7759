"""The site that `make docs` builds: complete, without a warning, and alone in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from signloom.params.schema import Params
from tests.browser import CHROMIUM, Browser, browser

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed: the site is not built")
from tools.docs_site import site_links
from tools.pipeline_picture import TARGET, render
from tools.stage_pages import Stage, read_stages

LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}
PAGES = ("index", "tutorial", "pipeline", "parameters", "api", "stages/train_gloss", "design/inference")


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(where)]
    # the theme advertises its successor on every start
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=root, env=quiet, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return where


@pytest.fixture(scope="module")
def stages(root: Path) -> list[Stage]:
    return read_stages(root)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: the site is not looked at")
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


class Loaded(HTMLParser):
    """The addresses that a page loads when it is opened."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADED.get(tag, ""))
        if address:
            self.addresses.append(address)


def test_every_entry_point_has_a_page(site: Path, root: Path) -> None:
    scripts = {path.stem for path in root.glob("workflow_scripts/[a-z]*.py")}
    pages = {path.stem for path in site.glob("stages/*.html")} - {"index"}
    # the tables on request are described with clip features
    assert pages == scripts - {"job", "side_by_side"}


def test_a_stage_page_names_its_files_and_parameters(site: Path, stages: list[Stage]) -> None:
    for stage in stages:
        text = (site / f"stages/{stage.name}.html").read_text("utf-8")
        shown = set(re.findall(r"<code>([^<]*)</code>", text))
        files = {path.replace("<", "&lt;").replace(">", "&gt;") for path in stage.read | stage.written}
        assert files <= shown, stage.name
        if len(stage.parameters) < len(Params.model_fields):
            assert {name.rpartition(".")[2] for name in stage.parameters} <= shown, stage.name


def test_the_stage_of_a_changed_threshold_shows_that_parameter_and_not_the_whole_section(site: Path) -> None:
    text = (site / "stages/calibrate.html").read_text("utf-8")
    assert "max_false_accept_rate" in text
    assert "top_k" not in text


def test_descriptions_show_their_marks_and_no_others(site: Path) -> None:
    page = (site / "parameters.html").read_text("utf-8")
    assert "become &lt;unk&gt; in" in page and "\\&lt;" not in page


def test_every_parameter_is_listed_once(site: Path) -> None:
    text = (site / "parameters.html").read_text("utf-8")
    keys = [key for field in Params.model_fields.values() for key in field.annotation.model_fields]  # type: ignore[union-attr]
    rows = re.findall(r"<tr>\s*<td><code>(\w+)</code>", text)
    assert sorted(rows) == sorted(keys)


def test_the_picture_of_the_pipeline_is_what_the_rules_say(root: Path, stages: list[Stage]) -> None:
    drawn = (root / TARGET).read_text("utf-8")
    assert drawn == render(stages), "run `python -m tools.pipeline_picture`"


def test_links_out_of_docs_lead_to_pages_of_the_site() -> None:
    moved = site_links("[a](../../CONTRIBUTING.md#style) [b](engines.md)", "docs/design/x.md", "design/x.md")
    assert moved == "[a](../contributing.md#style) [b](engines.md)"
    moved = site_links("[a](docs/results.md) [b](https://dvc.org/a.md)", "README.md", "index.md")
    assert moved == "[a](results.md) [b](https://dvc.org/a.md)"


def test_no_page_loads_anything_of_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        assert [one for one in Loaded(page).addresses if "//" in one] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text("utf-8")), sheet


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", PAGES)
def test_a_browser_asks_no_host_and_the_window_does_not_scroll_sideways(
    chromium: Browser, site: Path, page: str, width: int
) -> None:
    chromium.open(site / f"{page}.html", width)
    assert chromium.requests != []
    assert [url for url in chromium.requests if not url.startswith("file://")] == []
    assert chromium.complaints == []
    assert chromium.ask("document.documentElement.scrollWidth") <= width
    assert chromium.ask("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
