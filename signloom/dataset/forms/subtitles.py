"""Subtitles (.srt, .vtt) beside videos: every cue is a clip, and its text the sentence.

`dataset.table` is one subtitle file or a folder of them at any depth. The video has the name of the subtitle
file, with or without a language before the suffix: `talk.mp4` for `talk.srt` and `talk.de.vtt`.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from signloom.dataset.forms.texts import one_form, seconds_text, text_numbers
from signloom.dataset.forms.video_files import VideoFiles
from signloom.errors import SignloomError

SUFFIXES = (".srt", ".vtt")
_LANGUAGE = re.compile(r"\.[A-Za-z]{2,3}([-_][A-Za-z0-9]+)?$")
# of HTML, and of other subtitle formats that tools leave in these
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|<\d+:[\d:.]+>|\{\\[^{}]*\}")
# how characters of Japanese and Chinese are read, which stands in small letters above them
_READING = re.compile(r"<r[tp]\b[^<>]*>.*?(</r[tp]>|(?=</ruby|<r[tp]\b)|$)", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_EXACT = _TIME.removesuffix("?")
_TIMES = re.compile(rf"\s*{_EXACT}\s*-->\s*{_EXACT}")  # whatever follows says where the cue is shown
_SHORT_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(\s+\w+:\S+)*\s*")
# as some tools write it; within a text such a line may be said
_ODD_TIMES = re.compile(rf"\s*{_TIME}\s*->\s*{_TIME}\s*")
_NO_CUES = ("WEBVTT", "NOTE", "STYLE", "REGION")

_LIKE = "such as 00:00:03,000 --> 00:00:05,000"


def read_subtitles(files: list[Path], videos: Path) -> pd.DataFrame:
    """Return a row for every cue that has a word.

    Raises SignloomError if a file cannot be read, or if two files belong to one video.
    """
    found = VideoFiles(videos, others=True)
    of_video: dict[str, Path] = {}
    rows: list[list[str]] = []
    for file in files:
        video = _video(file, found)
        other = of_video.setdefault(video, file)
        if other != file and (videos / video).is_file():
            raise SignloomError(
                f"{other} and {file} are both subtitles of {video}; keep the files of one language and kind "
                "in dataset.table, and move the others away"
            )
        rows += [
            [f"{file.name}:{number}", video, start, end, text] for number, start, end, text in cues(file)
        ]
    table = pd.DataFrame(rows, columns=["row", "video", "start_s", "end_s", "sentence"])
    return table.assign(sentence_id=text_numbers(table["sentence"].tolist()))


def cues(file: Path) -> Iterator[tuple[int, str, str, str]]:
    """Yield number, start and end in seconds, and text of every cue that has a word.

    A cue is a line of times and the lines up to the next empty one. Other blocks, such as notes and styles,
    and the name of a cue are no text. Raises SignloomError for a file of texts without times, and for a time
    beside an arrow that cannot be read, because a cue would be lost.
    """
    try:
        # some tools end a line with one mark too many, which would be an empty line
        lines = file.read_bytes().decode("utf-8-sig").replace("\r\r\n", "\n").splitlines()
    except UnicodeDecodeError as error:
        raise SignloomError(f"{file}: it is no UTF-8 text; save it as UTF-8") from error
    found: list[tuple[str, str, list[str]]] = []
    inside = False
    for place, line in enumerate(lines, 1):
        # the number of this cue, where no empty line stands before it
        numbered = inside and bool(found[-1][2]) and found[-1][2][-1].strip().isdecimal()
        begins = numbered or not inside
        times = _TIMES.match(line) or _SHORT_TIMES.fullmatch(line)
        if times := times or (_ODD_TIMES.fullmatch(line) if begins else None):
            if numbered:
                found[-1][2].pop()
            found.append((_seconds(*times.groups()[:4]), _seconds(*times.groups()[4:8]), []))
            inside = True
        elif "-->" in line and re.search(r"\d:\d", line):
            raise SignloomError(f"{file}: line {place}: {line.strip()!r} has no two times {_LIKE}")
        elif not line.strip():
            inside = False
        elif inside:
            found[-1][2].append(line)
    blocks = "\n".join(line.strip() for line in lines).strip().split("\n\n")
    if not found and not all(block.lstrip().startswith(_NO_CUES) for block in blocks if block):
        raise SignloomError(f"{file}: it has no line of times {_LIKE}")
    for number, (start, end, texts) in enumerate(found, start=1):
        plain = _MARKUP.sub("", _READING.sub("", _BREAK.sub(" ", "\n".join(texts))))
        text = one_form(html.unescape(plain))
        # `♪` and `...` say nothing; symbols of SignWriting that Unicode has not taken are no marks and do
        if any(unicodedata.category(mark)[0] not in "MPSZ" for mark in text):
            yield number, start, end, text


def _seconds(hours: str | None, minutes: str, seconds: str, part: str | None) -> str:
    return seconds_text(3600 * int(hours or 0) + 60 * int(minutes) + float(f"{seconds}.{part or 0}"))


def _video(file: Path, videos: VideoFiles) -> str:
    names = [file.stem, _LANGUAGE.sub("", file.stem)]
    return next((video for name in names if (video := videos.find(name, file))), f"{names[-1]}.mp4")
