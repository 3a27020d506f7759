"""Subtitles (.srt, .vtt) beside videos: every cue is a clip, and its text the sentence.

`dataset.table` is one subtitle file or a folder of them at any depth. The video has the name of the subtitle
file, with or without a language before the suffix: `talk.mp4` for `talk.srt` and `talk.de.vtt`.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pysubs2

from signloom.dataset.forms.texts import one_form, seconds_text, text_numbers
from signloom.dataset.forms.video_files import VideoFiles
from signloom.errors import SignloomError

SUFFIXES = (".srt", ".vtt")
_LANGUAGE = re.compile(r"\.[A-Za-z]{2,3}([-_][A-Za-z0-9]+)?$")
_MARKUP = re.compile(r"<[^<>]*>")


def read_subtitles(files: list[Path], videos: Path) -> pd.DataFrame:
    """Return a row for every cue that has a text.

    Raises SignloomError if a file cannot be read, or if two files belong to one video.
    """
    found = VideoFiles(videos)
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
    """Yield number, start and end in seconds, and text of every cue that has a text."""
    try:
        parsed = pysubs2.SSAFile.load(
            str(file), encoding="utf-8-sig", format_="srt" if file.suffix.lower() == ".srt" else "vtt"
        )
    except (pysubs2.Pysubs2Error, UnicodeDecodeError, ValueError) as error:
        raise SignloomError(f"{file}: not a readable subtitle file: {error}") from error
    for number, event in enumerate(parsed, start=1):
        text = one_form(html.unescape(_MARKUP.sub("", event.plaintext)))
        if text:
            yield number, seconds_text(event.start / 1000), seconds_text(event.end / 1000), text


def _video(file: Path, videos: VideoFiles) -> str:
    names = [file.stem, _LANGUAGE.sub("", file.stem)]
    return next((video for name in names if (video := videos.find(name, file))), f"{names[-1]}.mp4")
