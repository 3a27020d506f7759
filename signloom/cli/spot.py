"""`signloom spot`: find where a sign occurs in videos, given one example of it."""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from signloom.cli.predict import frame_bar
from signloom.console import json_line
from signloom.errors import SignloomError
from signloom.inference.dtw import Floats
from signloom.inference.engine import SignEngine
from signloom.inference.spotting import rows_within, spot
from signloom.inference.video import (
    TimedClip,
    Tracker,
    bundle_frame_rate,
    bundle_landmarks,
    bundle_tracker,
    timed_clip,
    track_video,
)
from signloom.native_stderr import only_errors
from signloom.video.decode import VideoUnreadable

NOBODY = "no frame shows a person"
TOO_SHORT = "the frames that show a person are fewer than half of those of the example"


_PAST_END_S = 0.5  # a time further behind the end of a video is a slip, such as 178 for 1.78


class Spotted(NamedTuple):
    """A place in a video, in seconds from its start, and how like the example it is (-1 to 1)."""

    video: str
    start_s: float
    end_s: float
    score: float


def run_spot(args: argparse.Namespace) -> int:
    """Print the places of all videos, the best first; return the exit code, 2 if a video cannot be read.

    Raises SignloomError if the bundle or the example cannot be used.
    """
    engine = SignEngine.load(args.bundle)
    found: list[Spotted] = []
    failed = False
    with only_errors(), bundle_tracker(engine) as tracker:
        try:
            example = example_rows(engine, tracker, args.example, args.start, args.end)
        except VideoUnreadable as error:
            raise SignloomError(f"{args.example}: {error}") from error
        for video in args.videos:
            try:
                found += spot_video(engine, tracker, video, example, args.top)
            except (VideoUnreadable, SignloomError) as error:
                print(f"error: {video}: {error}", file=sys.stderr)
                failed = True
    for one in sorted(found, key=lambda one: -one.score)[: args.top]:
        print(json_line(one._asdict()) if args.json else as_text(one))
    return 2 if failed else 0


def example_rows(
    engine: SignEngine, tracker: Tracker, path: Path, start_s: float | None, end_s: float | None
) -> Floats:
    """Return the rows (N, width) of the sign that is shown from `start_s` to `end_s` (None: of the whole).

    The network sees what is before and after the sign too. Raises VideoUnreadable if a frame cannot be read,
    SignloomError if there is none in that time or none shows a person.
    """
    around_s = engine.config["seq_len"] / engine.config["pose"]["fps"] / 2
    first_s = max((start_s or 0.0) - around_s, 0.0)
    nowhere = f"{path}: no frame shows a person between --start and --end; correct them"
    try:
        seen = see(engine, tracker, path, first_s, None if end_s is None else end_s + around_s)
    except VideoUnreadable as error:
        if start_s is None and end_s is None:
            raise
        raise SignloomError(f"{nowhere} ({error})") from error
    times = seen.times + first_s
    start = first_s if start_s is None else start_s
    length_s = seen.length_s + first_s
    if end_s is not None and len(seen.times) and end_s > length_s + _PAST_END_S:
        raise SignloomError(f"{path}: --end {end_s:g} is after the end of the video, {length_s:.2f} s")
    end = length_s if end_s is None else end_s
    shown_s = 1 / engine.config["pose"]["fps"]  # each row
    if not ((times + shown_s > start) & (times < end)).any():
        raise SignloomError(f"{path}: {NOBODY}" if start_s is None and end_s is None else nowhere)
    # rows show what was some frames ago, so the end of a video may have none
    return np.asarray(engine.sign_rows(seen.clip)[rows_within(times - seen.delay_s, start, end)])


def spot_video(
    engine: SignEngine, tracker: Tracker, video: Path, example: Floats, most: int
) -> list[Spotted]:
    """Return at most `most` places of a video that are like the rows `example` (N, width), best first.

    Raises VideoUnreadable if a frame cannot be read, SignloomError if none shows a person.
    """
    seen = see(engine, tracker, video)
    if not len(seen.times):
        raise SignloomError(NOBODY)
    places = spot(example, engine.sign_rows(seen.clip), most)
    if not places:
        raise SignloomError(TOO_SHORT)
    return [
        Spotted(str(video), round(float(start), 3), round(float(end), 3), round(place.score, 3))
        for place, (start, end) in zip(places, seen.seconds(places), strict=True)
        if start < end  # rows show what was some frames ago, so the first may be of nothing
    ]


def see(
    engine: SignEngine,
    tracker: Tracker,
    video: Path,
    start_s: float | None = None,
    end_s: float | None = None,
) -> TimedClip:
    """Return the rows of a part of a video; raises VideoUnreadable if a frame cannot be read."""
    watch, max_fps = frame_bar(video.name, video), bundle_landmarks(engine).max_fps
    folder_fps = bundle_frame_rate(engine)
    return timed_clip(engine, track_video(tracker, video, start_s, end_s, watch, max_fps, folder_fps))


def as_text(one: Spotted) -> str:
    """Return a place as a line."""
    return f"{one.start_s:8.2f} - {one.end_s:<8.2f}  {one.score:5.2f}  {one.video}"
