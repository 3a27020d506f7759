"""MkDocs hooks: add pages generated from the rules and the typed parameters, and pages outside `docs/`.

`make docs` builds the site. The generated pages are not committed.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.stage_pages import parameters_page, read_stages, rendered, stage_page

ROOT = Path(__file__).parent.parent
# pages outside docs/ in the repository, and their paths on the site
BESIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "profiles/README.md": "profiles.md",
    "data/demo/README.md": "demo-files.md",
}
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the generated pages of the stages to the navigation, in the order of the rules."""
    config["stages"] = read_stages(ROOT)
    pages = [f"stages/{stage.name}.md" for stage in config["stages"]]
    for entry in config.nav or []:
        if isinstance(entry, dict) and "Stages" in entry:
            entry["Stages"] += pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages and the pages outside `docs/`."""
    stages = config["stages"]
    pages = {f"stages/{stage.name}.md": stage_page(stage, stages) for stage in stages}
    pages |= {"stages/index.md": rendered("stages.md.j2", stages=stages), "parameters.md": parameters_page()}
    for source, page in BESIDE.items():
        pages[page] = site_links((ROOT / source).read_text("utf-8"), source, page)
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links to pages outside `docs/` to their paths on the site."""
    return site_links(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def site_links(text: str, source: str, page: str) -> str:
    """Return `text` of the file `source` with its links rewritten for the page `page` of the site."""

    def moved(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        site = BESIDE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if "://" in target or site is None:
            return match[0]
        return before + posixpath.relpath(site, posixpath.dirname(page) or ".") + after

    return LINK.sub(moved, text)
