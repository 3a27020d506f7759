"""Draw a clip with its landmarks as a moving picture, with a bundle's answer beside the last frame."""

from pathlib import Path

from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from signloom.files import atomic
from signloom.inference.answer import Answer
from signloom.inference.answer_text import decision
from signloom.inference.engine import SignEngine
from signloom.inference.video import VideoAnswer, answer_video
from signloom.report.overlay import LEFT_COLOUR, RIGHT_COLOUR, draw_landmarks
from signloom.video.decode import read_frames
from signloom.video.thinning import Thinner

SIDE, PANEL, MARGIN = 320, 330, 18  # pixels of the video and of the text beside it
MAX_FPS = 12.5  # of the picture
STEP_MS, HOLD_MS = 80, 4000
INK, GREY, ACCEPTED, REFUSED = "#1b1b1b", "#595959", "#0b4f9e", "#a14a00"


def draw(video: Path, seen: VideoAnswer) -> list[Image.Image]:
    """Return the frames of `video` with `seen.raw` drawn over them and the answer beside the last one."""
    thinner = Thinner(MAX_FPS)
    rows = {int(n): row for row, n in enumerate(seen.raw.frame_index) if thinner.takes(seen.raw.times[row])}
    last = max(rows)
    pictures = []
    for frame in read_frames(video):
        if frame.number in rows:
            row = rows[frame.number]
            drawn = Image.fromarray(draw_landmarks(frame.image, seen.raw.rows[row]))
            time_s = float(seen.raw.times[row])
            pictures.append(_picture(drawn, video, time_s, seen.answer if frame.number == last else None))
    return pictures


def _picture(drawn: Image.Image, video: Path, time_s: float, answer: Answer | None) -> Image.Image:
    canvas = Image.new("RGB", (SIDE + PANEL, SIDE), "white")
    small = drawn.resize((SIDE, round(SIDE * drawn.height / drawn.width)), Image.Resampling.LANCZOS)
    canvas.paste(small, (0, (SIDE - small.height) // 2))
    pen = ImageDraw.Draw(canvas)
    y = MARGIN
    for text, colour, points, bold in _lines(video, time_s, answer):
        pen.text((SIDE + MARGIN, y), text, fill=colour, font=_font(points, bold))
        y += round(1.75 * points)
    x = SIDE + MARGIN
    for label, hand in (("left hand", LEFT_COLOUR), ("right hand", RIGHT_COLOUR)):
        pen.rectangle((x, SIDE - 30, x + 11, SIDE - 19), fill=hand, outline=GREY)
        pen.text((x + 18, SIDE - 33), label, fill=GREY, font=_font(13, False))
        x += 110
    return canvas


def _lines(video: Path, time_s: float, answer: Answer | None) -> list[tuple[str, str, int, bool]]:
    """Return the lines of text with their colour, their size and whether they are bold."""
    lines = [
        ("/".join(video.parts[-2:]), INK, 16, True),
        (f"{time_s:.2f} s", GREY, 15, False),
    ]
    if answer is None:
        return lines
    first = answer.matches[0] if answer.matches else None
    lines.append((decision(answer), ACCEPTED if answer.accepted else REFUSED, 18, True))
    if first:
        lines.append((first.sentence, INK, 24, True))
        lines.append((f"confidence {first.confidence:.2f}", GREY, 15, False))
    said = (("decoded", answer.text), ("glosses", answer.glosses))
    return lines + [(f"{label}: {text}", INK, 15, False) for label, text in said if text]


def _font(points: int, bold: bool) -> ImageFont.FreeTypeFont:
    # this font comes with matplotlib, so the picture is the same on every machine
    name = findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal"))
    return ImageFont.truetype(name, points)


def answer_picture(bundle: Path, video: Path, output: Path) -> str:
    """Write the picture of `video` to `output` (.webp or .gif) and return the answer in words.

    Landmarks and answer are those of `signloom predict` with `bundle`.
    """
    seen = answer_video(SignEngine.load(bundle), video)
    first, *others = draw(video, seen)
    times = [STEP_MS] * len(others) + [HOLD_MS]
    kind = output.suffix[1:]
    with atomic(output) as part:
        first.save(
            part, kind, save_all=True, append_images=others, duration=times, loop=0, quality=80, method=6
        )
    return decision(seen.answer)
