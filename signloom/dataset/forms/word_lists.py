"""WLASL and MS-ASL: isolated signs of ASL in JSON."""

from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import pandas as pd
from pydantic import AfterValidator, Field, TypeAdapter

from signloom.dataset.forms.json_files import Entry, read_json
from signloom.dataset.forms.texts import one_gloss, seconds_text, text_numbers
from signloom.dataset.forms.video_files import VideoFiles
from signloom.dataset.probe import length_s

FILES_MSASL = [f"MSASL_{split}.json" for split in ("train", "val", "test")]
_SLACK_S = 0.1
_COLUMNS = ["row", "video", "start_s", "end_s", "sentence", "signer_id", "split"]


def _video_id(url: str) -> str:
    """Return the id in an address such as `www.youtube.com/watch?v=ID` or `https://youtu.be/ID`."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    return parse_qs(parts.query).get("v", [parts.path.rpartition("/")[2]])[0]


_Frame = Annotated[int, Field(ge=-1, lt=2**31)]


class _Instance(Entry):
    video_id: str
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    frame_start: _Frame
    frame_end: _Frame
    signer_id: str
    split: str


class _Gloss(Entry):
    gloss: str
    instances: list[_Instance]


class _Sign(Entry):
    url: Annotated[str, AfterValidator(_video_id)]
    # as they are written: they are part of the clip's id
    start_time: int | float
    end_time: int | float
    text: str
    signer_id: str


_WLASL, _MSASL = TypeAdapter(list[_Gloss]), TypeAdapter(list[_Sign])


def read_wlasl(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read a list of glosses with their instances; the video of an instance is <video_id>.mp4.

    Frames count from 1, the last one belongs to the clip, and -1 means the end. A video that is too short for
    its frames is cut already, as the corpus's own scripts leave it, and taken whole.
    """
    (file,) = files
    rows = []
    for entry in read_json(file, _WLASL):
        for one in entry.instances:
            name, first, last = f"{one.video_id}.mp4", one.frame_start, one.frame_end
            start, end = (first - 1) / one.fps, last / one.fps
            length = length_s(videos / name) if (first, last) != (1, -1) else None
            needed = end if last >= 0 else start
            whole = (first, last) == (1, -1) or (length is not None and needed > length + _SLACK_S)
            times = ["", ""] if whole else [seconds_text(start), "" if last < 0 else seconds_text(end)]
            rows.append([f"{file.name}:{one.video_id}", name, *times, entry.gloss, one.signer_id, one.split])
    return _signs(rows)


def read_msasl(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read the three lists of signs; the video is called by the id in the address, with any video suffix."""
    found, rows = VideoFiles(videos), []
    for file in files:
        split = file.stem.removeprefix("MSASL_")
        signs = read_json(file, _MSASL)
        for number, entry in enumerate(signs, start=1):
            video = found.find(entry.url) or f"{entry.url}.mp4"
            times = [f"{entry.start_time}", f"{entry.end_time}"]
            row = f"{file.name}:{number}"
            rows.append([row, video, *times, entry.text, entry.signer_id, split])
    return _signs(rows)


def _signs(rows: list[list[str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.assign(
        gloss=[one_gloss(text) for text in table["sentence"]],
        sentence_id=text_numbers(table["sentence"].tolist()),
    )
