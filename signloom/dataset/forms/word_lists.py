"""WLASL and MS-ASL: isolated signs of ASL in JSON."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from signloom.dataset.forms.json_files import entries_in
from signloom.dataset.forms.texts import one_gloss, seconds_text, text_numbers
from signloom.dataset.forms.video_files import VideoFiles
from signloom.dataset.probe import length_s
from signloom.errors import SignloomError

FILES_MSASL = [f"MSASL_{split}.json" for split in ("train", "val", "test")]
_SLACK_S = 0.1
_COLUMNS = ["row", "video", "start_s", "end_s", "sentence", "signer_id", "split"]


def read_wlasl(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read a list of glosses with their instances; the video of an instance is <video_id>.mp4.

    Frames count from 1, the last one belongs to the clip, and -1 means the end. A video that is too short for
    its frames is cut already, as the corpus's own scripts leave it, and taken whole.
    """
    (file,) = files
    rows = []
    for entry in entries_in(file, ["gloss", "instances"]):
        for one in entry["instances"]:
            try:
                name, fps = f"{one['video_id']}.mp4", float(one["fps"])
                first, last = int(one["frame_start"]), int(one["frame_end"])
                signer, split = str(one["signer_id"]), str(one["split"])
            except (KeyError, TypeError, ValueError) as error:
                raise SignloomError(
                    f"{file}: gloss {entry['gloss']!r}: an instance lacks video_id, fps, frame_start, "
                    f"frame_end, signer_id or split, or has no number there: {error!r}"
                ) from error
            start, end = (first - 1) / fps, last / fps
            length = length_s(videos / name) if (first, last) != (1, -1) else None
            needed = end if last >= 0 else start
            whole = (first, last) == (1, -1) or (length is not None and needed > length + _SLACK_S)
            times = ["", ""] if whole else [seconds_text(start), "" if last < 0 else seconds_text(end)]
            rows.append([f"{file.name}:{one['video_id']}", name, *times, entry["gloss"], signer, split])
    return _signs(rows)


def read_msasl(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read the three lists of signs; the video is called by the id in the address, with any video suffix."""
    found, rows = VideoFiles(videos), []
    for file in files:
        split = file.stem.removeprefix("MSASL_")
        wanted = ["url", "start_time", "end_time", "text", "signer_id"]
        for number, entry in enumerate(entries_in(file, wanted), start=1):
            name = _video_id(str(entry["url"]))
            video = found.find(name) or f"{name}.mp4"
            times = [f"{entry['start_time']}", f"{entry['end_time']}"]
            row = f"{file.name}:{number}"
            rows.append([row, video, *times, str(entry["text"]), str(entry["signer_id"]), split])
    return _signs(rows)


def _signs(rows: list[list[str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.assign(
        gloss=[one_gloss(text) for text in table["sentence"]],
        sentence_id=text_numbers(table["sentence"].tolist()),
    )


def _video_id(url: str) -> str:
    """Return the id in an address such as `www.youtube.com/watch?v=ID` or `https://youtu.be/ID`."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    return parse_qs(parts.query).get("v", [parts.path.rpartition("/")[2]])[0]
