"""Write a template for `dvc plots` that includes its scripts, so that the plots open offline.

python -m engines.plots_page build/plots.html
dvc plots show --html-template build/plots.html

DVC's own page loads Vega from a server; Snakemake's report package includes the same scripts.
"""

import sys
from pathlib import Path

from snakemake.assets import Assets

from engines.generated import write_generated

SCRIPTS = ("vega/vega.js", "vega-lite/vega-lite.js", "vega-embed/vega-embed.js")


def page() -> str:
    """Return the template; DVC replaces `{plot_divs}` by its plots."""
    # a script in a page ends at the first closing tag, even inside a string
    scripts = [Assets.get_content(name).replace("</script", "<\\/script") for name in SCRIPTS]
    inside = "".join(f"<script>{script}</script>\n" for script in scripts)
    head = f'<meta charset="utf-8">\n<title>Signloom plots</title>\n{inside}'
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n{head}</head>\n<body>\n{{plot_divs}}\n</body>\n</html>\n'
    )


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    return write_generated(Path(argv[0]), page())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
