"""Shared drawing code: figures as SVG that takes its colours from the page."""

import html
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from signloom.cells import shown_lines

_LOOKS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
PAGE, INK, _, *SERIES = _LOOKS["colours"]
LETTERS: dict[str, Any] = _LOOKS["letters"]
MARKS = ["o", "s", "^", "D", "P"]
LINES: list[str | tuple[int, tuple[int, ...]]] = ["-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1))]
_SMOOTHING = 0.5
WIDTH, HEIGHT = 4.6, 3.0  # inches; narrow, so that the text stays legible on a phone


@dataclass(frozen=True)
class Picture:
    """An inline SVG with its caption; the SVG contains its text for screen readers."""

    name: str
    caption: str
    svg: str


def picture(
    name: str,
    caption: str,
    alt: str,
    draw: Callable[[Figure], None],
    height: float = HEIGHT,
    width: float = WIDTH,
) -> Picture:
    """Return the figure that `draw` fills as an SVG without links, dates or ids shared with other figures."""
    with mpl.rc_context({**_LOOKS["style"], "svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with warnings.catch_warnings():
            # the text stays text, and the reader's own fonts have its letters
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"\s*font-family: [^;\"]*;?", "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    for colour, variable in _LOOKS["colours"].items():
        svg = svg.replace(colour, variable)
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", svg[: svg.index(">")])
    label = html.escape(alt, quote=True)
    svg = f'{head} role="img" aria-label="{label}"{svg[svg.index(">") :].strip()}'
    return Picture(name, caption, shown_lines(svg))


def shortened(name: str, most: int = 24) -> str:
    """Return `name`, or both ends of it in `most` letters: names often differ in their last ones."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[len(name) - (most - 1) // 2 :]}"


def note(axes: Axes, text: str, x: float, left: bool, inside: bool = False) -> None:
    """Write `text` at the top of the axes, above or inside, left or right of the line at `x`."""
    axes.annotate(
        text,
        (x, 1),
        (-4 if left else 4, -12 if inside else 3),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=9,
    )


def rate_marks(
    axes: Axes, part: pd.DataFrame, places: Any, label: str, number: int, flat: bool = False
) -> None:
    """Draw the error rates `part` (`wer, low, high`) at `places` as marks with intervals."""
    along, across = ("x", "y") if flat else ("y", "x")
    values: dict[str, Any] = {along: part["wer"], across: places}
    values[f"{along}err"] = np.abs(part[["low", "high"]].to_numpy().T - part["wer"].to_numpy())
    look = {"fmt": MARKS[number % len(MARKS)], "color": SERIES[number % len(SERIES)], "label": label}
    axes.errorbar(**values, **look, capsize=2, linewidth=1.2, clip_on=False)


def ends(label: str, values: pd.Series) -> str:
    """Return in words how a curve begins and ends; `values` has its epochs as index."""
    first, last = values.index[[0, -1]]
    return f"{label} from {values[first]:.3g} in epoch {first} to {values[last]:.3g} in epoch {last}"


def smooth(values: pd.Series) -> pd.Series:
    """Return the exponential moving average of a curve (epochs,), which thick lines show."""
    return values.ewm(alpha=1 - _SMOOTHING, adjust=True).mean()


def whole_numbers(axes: Axes) -> None:
    """Put ticks of the x axis at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
