"""Draw a clip and its answer as one picture: a few frames with their landmarks, and the answer's text."""

import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from signloom.cells import shown
from signloom.console import number_of
from signloom.features.pose.raw_clip import RawClip
from signloom.files import atomic
from signloom.inference.answer import Answer
from signloom.inference.answer_text import decision
from signloom.inference.video import VideoAnswer
from signloom.letters import columns
from signloom.report.overlay import LEFT_COLOUR, RIGHT_COLOUR, draw_landmarks
from signloom.video.decode import read_frames

Image = NDArray[np.uint8]

FRAMES = 5
# inches
WIDTH, MARGIN, GAP, LINE = 10.0, 0.2, 0.08, 0.26
FRAME_WIDTH = (WIDTH - 2 * MARGIN - (FRAMES - 1) * GAP) / FRAMES
DPI = 160
LETTERS = 92  # per line
INK, GREY = "#1b1b1b", "#595959"
# blue and orange stay distinct for colour-blind readers, and the words say the same
ACCEPTED, REFUSED = "#0b4f9e", "#a14a00"
_STYLE = {"text.parse_math": False}


class _Line(NamedTuple):
    text: str
    colour: str
    points: float
    bold: bool = False


def write_picture(path: Path, video: Path, seen: VideoAnswer) -> None:
    """Write a PNG of `FRAMES` frames of `video` side by side, `seen.raw` drawn over them, and the answer."""
    images, times = _drawn(video, seen.raw)
    lines = _lines(seen.answer)
    name = shown(str(video))
    families = _families("".join([name, *(line.text for line in lines)]))
    with mpl.rc_context({**_STYLE, "font.family": families}), atomic(path) as part:
        figure = _figure(name, images, times, lines)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # said once, by _families
            figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None})


def _families(text: str) -> list[str]:
    """Return the font families to draw `text` with: the usual one, and others for the letters that it lacks.

    Prints a warning if no font has some of them.
    """
    usual = font_manager.findfont(font_manager.FontProperties(family=["sans-serif"]))
    missing = {letter for letter in text if letter.isprintable()} - _letters_of(usual)
    if not missing:
        return ["sans-serif"]
    fonts = sorted({(font.name, font.fname) for font in font_manager.fontManager.ttflist})
    fonts = [font for font in fonts if "Last Resort" not in font[0]]  # it has every letter, as a box
    having: dict[str, set[str]] = {}
    for name, file in fonts:  # a family has several: those that are slanted lack scripts of the upright one
        having[name] = having.get(name, set()) | (missing & _letters_of(file))
    families = ["sans-serif"]
    while missing:
        family = min(having, key=lambda name: (-len(having[name] & missing), name))
        if not having[family] & missing:
            break
        families.append(family)
        missing = missing - having[family]
    if missing:
        letters = number_of(len(missing), "letter of the picture is", "letters of the picture are")
        print(
            f"warning: {letters} in no font of this machine, first {min(missing)!r}; install one that has "
            "them, such as a Noto font of their script",
            file=sys.stderr,
        )
    return families


def _letters_of(font: str) -> set[str]:
    try:
        return {chr(code) for code in font_manager.get_font(font).get_charmap()}
    except (OSError, RuntimeError):  # a font that cannot be read has no letters
        return set()


def _drawn(video: Path, raw: RawClip) -> tuple[list[Image], list[float]]:
    """Return evenly spaced frames with their landmarks, at the size shown, and their times in seconds."""
    count = min(FRAMES, len(raw.rows))
    # the middle of each of `count` equal parts
    wanted = ((np.arange(count) + 0.5) * len(raw.rows) / count).astype(int)
    width = round(DPI * FRAME_WIDTH)
    size = (width, max(1, round(width * raw.height / raw.width)))
    images = []
    rows = {int(raw.frame_index[row]): raw.rows[row] for row in wanted}
    for frame in read_frames(video):
        if frame.number in rows:
            small = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
            images.append(draw_landmarks(small, rows[frame.number]))
    return images, [float(time_s) for time_s in raw.times[wanted]]


def _lines(answer: Answer) -> list[_Line]:
    lines = [_Line(decision(answer), ACCEPTED if answer.accepted else REFUSED, 13, bold=True)]
    if answer.matches:
        first = answer.matches[0]
        label = "" if answer.accepted else "most similar: "
        lines += [
            _Line(f"{label}{first.sentence}", INK, 15 if answer.accepted else 13),
            _Line(f"confidence {first.confidence:.2f}, similarity {first.similarity:.3f}", GREY, 10),
        ]
    for label, text in (("decoded", answer.text), ("glosses", answer.glosses)):
        if text:
            lines.append(_Line(f"{label}: {text}", INK, 11))
    return [line._replace(text=part) for line in lines for part in textwrap.wrap(line.text, _per_line(line))]


def _per_line(line: _Line) -> int:
    """Return how many letters of `line` fit beside each other; those of East Asia are twice as wide."""
    return LETTERS * 11 // int(line.points) * len(line.text) // max(1, columns(line.text))


def _step(line: _Line) -> float:
    """Return the height of a line of text in inches."""
    return line.points * 1.6 / 72


def _figure(name: str, images: list[Image], times: list[float], lines: list[_Line]) -> Figure:
    """Lay out the name, the frames, their times and the answer from top to bottom."""
    width = FRAME_WIDTH
    height = width * images[0].shape[0] / images[0].shape[1]
    total = 2 * MARGIN + LINE + height + LINE + sum(map(_step, lines))
    figure = Figure(figsize=(WIDTH, total), facecolor="white")

    def write(text: str, x: float, y: float, colour: str, points: float, **more: Any) -> None:
        figure.text(x / WIDTH, 1 - y / total, text, color=colour, fontsize=points, va="center", **more)

    y = MARGIN + LINE / 2
    write(name if len(name) <= LETTERS else f"...{name[-LETTERS:]}", MARGIN, y, GREY, 9)
    _legend(figure, y, total)
    top = MARGIN + LINE
    for place, (image, time_s) in enumerate(zip(images, times, strict=True)):
        x = MARGIN + place * (width + GAP)
        axes = figure.add_axes((x / WIDTH, 1 - (top + height) / total, width / WIDTH, height / total))
        axes.imshow(image)
        axes.axis("off")
        write(f"{time_s:.2f} s", x + width / 2, top + height + LINE / 2, GREY, 9, ha="center")
    y = top + height + LINE
    for line in lines:
        weight = "bold" if line.bold else "normal"
        write(line.text, MARGIN, y + _step(line) / 2, line.colour, line.points, weight=weight)
        y += _step(line)
    return figure


def _legend(figure: Figure, y: float, total: float) -> None:
    """Draw the colours of both hands at the right end of the line at `y`."""
    x = WIDTH - MARGIN - 2.2
    for label, colour in (("left hand", LEFT_COLOUR), ("right hand", RIGHT_COLOUR)):
        square = Rectangle(
            (x / WIDTH, 1 - (y + 0.06) / total), 0.12 / WIDTH, 0.12 / total,
            facecolor=[part / 255 for part in colour], edgecolor=GREY, linewidth=0.5,
            transform=figure.transFigure,
        )  # fmt: skip
        figure.add_artist(square)
        figure.text((x + 0.2) / WIDTH, 1 - y / total, label, color=GREY, fontsize=9, va="center")
        x += 1.1
