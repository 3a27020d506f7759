"""Ids of clips, made from the paths that a table names."""

from pathlib import Path

import pandas as pd

from signloom.dataset.landmark_sources import SUFFIXES as LANDMARK_SUFFIXES
from signloom.dataset.probe import VIDEO_SUFFIXES
from signloom.dataset.row_files import ROW_SUFFIXES
from signloom.dataset.row_tables import split_key

_NO_PART_OF_IDS = frozenset({*VIDEO_SUFFIXES, *LANDMARK_SUFFIXES, *ROW_SUFFIXES})


def clip_ids(rows: pd.DataFrame) -> list[str]:
    """Return clip ids made from paths below the video root; a suffix stays if two files differ only in it.

    A row that names no file has the id ""; clip 98 of the table hands.csv has the id hands/98.
    """
    keyed = ((split_key(Path(video)), Path(video)) for video in rows["video"])
    videos = [parts[0].with_suffix("") / parts[1] if parts else video for parts, video in keyed]
    suffixes: dict[Path, set[str]] = {}
    for video in videos:
        if video.name:
            suffixes.setdefault(video.with_suffix(""), set()).add(video.suffix)
    ids = []
    for video, start, end in zip(videos, rows["start_s"], rows["end_s"], strict=True):
        if not video.name:
            ids.append("")
            continue
        stem = video.with_suffix("") if video.suffix.lower() in _NO_PART_OF_IDS else video
        name = video if len(suffixes[video.with_suffix("")]) > 1 else stem
        ids.append(name.as_posix() + (f"@{start}-{end}" if start or end else ""))
    return ids
