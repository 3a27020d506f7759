"""The report in a real browser: on a phone, in the dark, printed, by keyboard and by ear, and alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, Browser, browser
from tests.report_inputs import build

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: the report is not looked at")

# texts whose contrast to what is behind them is under WCAG 2.2, 1.4.3: 4.5, or 3 for large ones
FAINT = """
(() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest('style, .hidden')) continue;
    const style = getComputedStyle(e);
    const ink = channels(e.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    seen += 1;
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) found.push(walker.currentNode.data.trim());
  }
  return [seen, found];
})()
"""
# what reaches over the right edge, but for what scrolls by itself or is there to be heard
WIDE = """
[...document.body.querySelectorAll('*')].filter(e => !e.closest('.scroll, .hidden, .skip, svg')
  && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(e => e.outerHTML.slice(0, 99))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("browser") / "build"
    build(where, families=("sign2text", "gloss"), pictures=True, inference=True)
    return where / "report/index.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def test_the_page_asks_for_nothing_and_the_browser_has_nothing_to_say(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280)
    assert chromium.requests == []
    assert chromium.complaints == []
    assert chromium.ask("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert chromium.ask("document.images.length") == 13


def test_the_browser_would_have_been_noticed_asking(chromium: Browser, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<img src='http://example.org/a.png'><img src='b.png'>", "utf-8")
    chromium.open(tmp_path / "bad.html", 390)
    assert [url.rpartition("/")[2] for url in chromium.requests] == ["a.png", "b.png"]
    assert chromium.complaints != []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_window_scrolls_sideways(chromium: Browser, page: Path, width: int) -> None:
    chromium.open(page, width)
    assert chromium.ask("document.documentElement.scrollWidth") <= width
    assert chromium.ask(WIDE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(chromium: Browser, page: Path, scheme: str) -> None:
    chromium.open(page, 1280, prefers_color_scheme=scheme)
    seen, faint = chromium.ask(FAINT)
    assert seen > 500
    assert faint == []


def test_the_first_key_skips_to_the_content_and_what_has_the_focus_is_seen(
    chromium: Browser, page: Path
) -> None:
    chromium.open(page, 390)
    chromium.press("Tab")
    active = "document.activeElement"
    assert chromium.ask(f"{active}.textContent") == "Skip to the content"
    assert chromium.ask(f"{active}.getBoundingClientRect().left") >= 0
    chromium.press("Enter")
    assert chromium.ask("location.hash") == "#main"
    for _ in range(3):
        chromium.press("Tab")
        assert chromium.ask(f"{active}.closest('main') !== null")
        assert chromium.ask(f"getComputedStyle({active}).outlineStyle") == "solid"


def test_who_hears_the_page_meets_landmarks_headings_and_named_pictures(
    chromium: Browser, page: Path
) -> None:
    chromium.open(page, 1280)
    nodes = [node for node in chromium.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    roles = Counter(node["role"]["value"] for node in nodes)
    assert all(roles[role] == 1 for role in ("banner", "navigation", "main", "contentinfo"))
    pictures = [node for node in nodes if node["role"]["value"] in ("image", "img", "graphics-document")]
    assert len(pictures) > 30
    assert all(node["name"]["value"] for node in pictures)
    levels = [
        prop["value"]["value"]
        for node in nodes
        if node["role"]["value"] == "heading"
        for prop in node["properties"]
        if prop["name"] == "level"
    ]
    assert levels[0] == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


def test_printed_pages_show_what_is_folded_and_cut_nothing_off(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280)
    folded = "[...document.querySelectorAll('details table')].map(e => e.checkVisibility())"
    assert not any(chromium.ask(folded))
    # as wide as A4 between its margins
    chromium.open(page, 718)
    chromium.call("Emulation.setEmulatedMedia", media="print")
    assert chromium.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    shown = chromium.ask(folded)
    assert len(shown) > 5
    assert all(shown)
    wide = (
        "[...document.querySelectorAll('table, svg, img')].filter(e => e.getBoundingClientRect().right > 718)"
    )
    assert chromium.ask(f"{wide}.map(e => e.id || e.parentElement.id)") == []
    assert chromium.pdf().startswith(b"%PDF")


def test_nothing_moves(page: Path, chromium: Browser) -> None:
    chromium.open(page, 390, prefers_reduced_motion="reduce")
    assert chromium.ask("document.getAnimations().length") == 0
    moving = (
        "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).transitionDuration !== '0s')"
    )
    assert chromium.ask(f"{moving}.length") == 0
    assert chromium.ask("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
