"""MkDocs hooks: pages made from the rules and the typed parameters, and pages that live beside `docs/`.

`make docs` builds the site. Nothing that this module makes is committed.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.stage_pages import parameters_page, read_stages, stage_page, stages_index

ROOT = Path(__file__).parent.parent
# pages that GitHub shows outside docs/, and where the site has them
BESIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "profiles/README.md": "profiles.md",
    "data/demo/README.md": "demo-files.md",
}
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages of the stages into the navigation, in the order of the rules."""
    config["stages"] = read_stages(ROOT)
    pages = [f"stages/{stage.name}.md" for stage in config["stages"]]
    for entry in config.nav or []:
        if isinstance(entry, dict) and "Stages" in entry:
            entry["Stages"] += pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are generated, and those that live beside `docs/`."""
    stages = config["stages"]
    pages = {f"stages/{stage.name}.md": stage_page(stage, stages) for stage in stages}
    pages |= {"stages/index.md": stages_index(stages), "parameters.md": parameters_page(ROOT)}
    for source, page in BESIDE.items():
        pages[page] = site_links((ROOT / source).read_text("utf-8"), source, page)
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of `docs/` to where the site has those pages."""
    return site_links(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def site_links(text: str, source: str, page: str) -> str:
    """Return `text` of the file `source` with its links as the page `page` of the site needs them."""

    def moved(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        site = BESIDE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if "://" in target or site is None:
            return match[0]
        return before + posixpath.relpath(site, posixpath.dirname(page) or ".") + after

    return LINK.sub(moved, text)
