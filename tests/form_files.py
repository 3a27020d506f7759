"""Annotation files of public corpora, in their own form, and small videos for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from pympi.Elan import Eaf

from signloom.params.dataset import ElanTiers
from tests.videos import write_video

HOW2SIGN = "VIDEO_ID\tVIDEO_NAME\tSENTENCE_ID\tSENTENCE_NAME\tSTART_REALIGNED\tEND_REALIGNED\tSENTENCE\n"


def write(folder: Path, **files: str | bytes) -> Path:
    """Write `files`, whose keys are names with `__` for the dot, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        data = text.encode() if isinstance(text, str) else text
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def write_videos(folder: Path, *videos: str, seconds: int = 2) -> Path:
    """Write `videos` of one frame a second."""
    for seed, name in enumerate(videos):
        write_video(folder / name, frames=seconds, fps=1, seed=seed, size=16)
    return folder


def values(rows: pd.DataFrame, *columns: str) -> list[list[str]]:
    return [list(map(str, row)) for row in rows[list(columns)].to_numpy().tolist()]


def how2sign(folder: Path) -> Path:
    first = "-aB1\t-aB1-1-rgb_front\t-aB1_0\t-aB1_0-1-rgb_front\t0.26\t6.79\tHi!\n"
    second = '-aB1\t-aB1-1-rgb_front\t-aB1_2\t-aB1_2-1-rgb_front\t7.27\t20.3\tTurn it "left, now.\n'
    other = "cC2\tcC2-1-rgb_front\tcC2_1\tcC2_1-1-rgb_front\t0\t1.5\tHi!\n"
    return write(
        folder,
        how2sign_realigned_train__csv="\ufeff" + (HOW2SIGN + first + second).replace("\n", "\r\n"),
        how2sign_realigned_val__csv=HOW2SIGN + other,
        how2sign_realigned_test__csv=HOW2SIGN + other.replace("cC2", "dD3"),
    )


Note = tuple[str, str, str]  # first slot, last slot (one letter each), text


def aligned(*notes: Note, first: int) -> str:
    """Return annotations that refer to time slots; ids count from `first`."""
    return "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" TIME_SLOT_REF1="ts{ord(begun)}" '
        f'TIME_SLOT_REF2="ts{ord(ended)}"><ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>'
        for number, (begun, ended, text) in enumerate(notes, start=first)
    )


def eaf(slots: dict[str, int | None], media: str, *tiers: tuple[str, str]) -> str:
    """Return an ELAN file; a tier is its attributes and its annotations."""
    times = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{ord(name)}"' + ("/>" if time is None else f' TIME_VALUE="{time}"/>')
        for name, time in slots.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT AUTHOR="" DATE="" FORMAT="3.0" '
        'VERSION="3.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">{media}</HEADER>'
        f"<TIME_ORDER>{times}</TIME_ORDER>"
        + "".join(f'<TIER LINGUISTIC_TYPE_REF="x" {head}>{notes}</TIER>' for head, notes in tiers)
        + "</ANNOTATION_DOCUMENT>"
    )


def sentences_eaf(path: Path, tiers: dict[str, list[str]]) -> None:
    """Write an ELAN file whose tiers have annotations of 150 ms, one every 200 ms."""
    made = Eaf()
    for tier, texts in tiers.items():
        made.add_tier(tier)
        for number, text in enumerate(texts):
            made.add_annotation(tier, 200 * number, 200 * number + 150, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.to_file(str(path))


def linked(*names: str) -> str:
    """Return links to videos in a folder of somebody else's machine."""
    return "".join(
        f'<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/x/{name}" RELATIVE_MEDIA_URL="./{name}" '
        'MIME_TYPE="video/mp4"/>'
        for name in names
    )


def tiers(*given: dict[str, Any]) -> list[ElanTiers]:
    return [ElanTiers.model_validate(one) for one in given]


def english(folder: Path, name: str = "story.eaf") -> Path:
    """Write a file with two sentences, both hands, a gloss with a space and a sentence without text."""
    slots = dict(zip("abcdefghij", (0, 400, 500, 900, 1000, 1400, 1500, 1900, 2000, 3000), strict=True))
    text = eaf(
        slots,
        linked("sound.wav", "story.mp4"),
        ('TIER_ID="English translation" PARTICIPANT="anna"', aligned(*SENTENCES, first=1)),
        ('TIER_ID="main gloss"', aligned(("a", "c", "IX"), ("g", "h", "GO"), first=10)),
        ('TIER_ID="non-dominant hand gloss"', aligned(*LEFT, first=20)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder / name


SENTENCES = [("a", "e", "Come &amp; see!"), ("e", "i", "She goes."), ("i", "j", "")]


LEFT = [("d", "e", '5"come here"'), ("b", "d", "LOOK"), ("g", "h", "GO")]


SRT = "\ufeff1\r\n00:00:00,000 --> 00:00:01,500\r\n<i>Grüezi</i>\r\nmiteinander &amp; so\r\n\r\n"


SRT += "2\r\n00:00:02,000 --> 00:00:03,250\r\n{\\an8}Schnee.\r\n\r\n"


def bobsl(folder: Path) -> Path:
    vtt = "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n{}\n\n00:00:02.000 --> 00:00:04.000\nIt snows.\n"
    write(
        folder / "metadata", subset2episode__json='{"train": ["5085"], "val": ["52"], "public_test": ["53"]}'
    )
    write(
        folder / "subtitles/audio-aligned", **{"5085__vtt": vtt.format("Old."), "52__vtt": vtt.format("A.")}
    )
    write(folder / "subtitles/manually-aligned", **{"5085__vtt": vtt.format("New times.")})
    spots = {"train": {"come here": {"names": ["5085"], "global_times": [1.5]}}}
    spots["train"]["tree"] = {"names": ["5085", "5085", "52"], "global_times": [0.5, 2.5, 3.0]}
    write(folder / "spottings", mouthing__json=json.dumps(spots))
    again = {"train": {"tree": {"names": ["5085.mp4"], "global_times": [0.7]}}}
    write(folder / "spottings", dictionary__json=json.dumps(again))
    return folder


def instance(video: str, first: int = 1, last: int = -1, split: str = "train") -> dict[str, Any]:
    return {
        "bbox": [385, 37, 885, 720],
        **{"fps": 25, "frame_start": first, "frame_end": last, "instance_id": 0, "signer_id": 118},
        **{"source": "x", "split": split, "url": "x", "variation_id": 0, "video_id": video},
    }


def wlasl(folder: Path) -> Path:
    book = [instance("00335"), instance("69241", 26, 50), instance("07070", 26, -1, "val")]
    tree = [instance("00336", 1201, 1250, "test"), instance("gone")]
    text = json.dumps([{"gloss": "book", "instances": book}, {"gloss": "apple tree", "instances": tree}])
    return write(folder, WLASL_v03__json="\ufeff" + text) / "WLASL_v03.json"


def msasl(folder: Path) -> Path:
    one = {"start_time": 0.0, "end_time": 1.2, "start": 0, "end": 36, "fps": 29.97, "text": "bad"}
    one |= {"label": 81, "signer_id": 11, "box": [0.1, 0.2, 0.9, 0.8], "url": "www.youtube.com/watch?v=X-_1"}
    two = one | {"url": "https://www.youtube.com/watch?v=Y2&t=5s", "text": "ice cream", "start_time": 1}
    return write(
        folder,
        MSASL_train__json=json.dumps([one, two | {"end_time": 2.0}]),
        MSASL_val__json=json.dumps([one | {"url": "https://youtu.be/Z3"}]),
        MSASL_test__json=json.dumps([one | {"url": "https://youtu.be/gone"}]),
    )
