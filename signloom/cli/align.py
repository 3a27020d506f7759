"""`signloom align`: find when each gloss of a known gloss line begins and ends in a video."""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from signloom.cli.calibrate import read_seconds
from signloom.console import json_line
from signloom.dataset.forms.table_files import read_table
from signloom.dataset.forms.texts import one_form
from signloom.errors import SignloomError
from signloom.inference.annotations import GLOSSES, Annotation, annotation, refuse_others, write_tiers
from signloom.inference.engine import SignEngine
from signloom.inference.video import (
    Tracker,
    bundle_frame_rate,
    bundle_landmarks,
    bundle_tracker,
    timed_clip,
    track_video,
)
from signloom.native_stderr import only_errors
from signloom.progress import track
from signloom.video.decode import VideoUnreadable

TOO_SHORT = "too few frames show a person for its glosses"


class Line(NamedTuple):
    """A clip of a video and its glosses; an end of None is that of the video."""

    video: Path
    glosses: tuple[str, ...]
    start_s: float | None = None
    end_s: float | None = None
    where: str = ""  # of the line in its table, for errors


class TimedGloss(NamedTuple):
    """A gloss with its times in seconds from the video's start, and how sure the network is of it (0-1)."""

    gloss: str
    start_s: float
    end_s: float
    score: float


def align(args: argparse.Namespace) -> int:
    """Print the times of the glosses of every clip; return the exit code, 2 if one has none.

    Raises SignloomError if the table or the bundle cannot be used, the bundle does not know a gloss, or an
    ELAN file would be lost.
    """
    table = args.glosses is None
    if table:
        lines = read_lines(args.clip, args.videos or args.clip.parent)
    else:
        lines = [Line(args.clip, split_line(args.glosses))]
    engine = SignEngine.load(args.bundle)
    for line in lines:  # before the long work
        try:
            engine.gloss_ids(line.glosses)
        except SignloomError as error:
            raise SignloomError(f"{line.where or '--glosses'}: {error}") from error
    targets = eaf_paths(args.eaf, lines, table) if args.eaf else {}
    for file in targets.values():
        refuse_others(file)
    said: dict[Path, list[Annotation]] = {}
    failed = False
    with only_errors(), bundle_tracker(engine) as tracker:
        for line in track(lines, "align") if table else lines:
            try:
                found = align_clip(engine, tracker, line)
            except (VideoUnreadable, SignloomError) as error:
                where = f"{line.where}: {line.video}" if line.where else line.video
                print(f"error: {where}: {error}", file=sys.stderr)
                failed = True
                continue
            print(as_json(line, found) if args.json else as_text(line, found), flush=True)
            for one in found:
                said.setdefault(line.video, []).extend(annotation(one.start_s, one.end_s, one.gloss))
    for video, annotations in said.items():
        if target := targets.get(video):
            write_tiers(target, {GLOSSES: sorted(annotations)}, video)
    return 2 if failed else 0


def read_lines(table: Path, videos: Path) -> list[Line]:
    """Return the rows of a table with `video` and `gloss`, whose videos lie below the folder `videos`.

    Raises SignloomError with the line of a value that is missing or wrong.
    """
    lines = []
    for row in read_table(table, ["video", "gloss"]).to_dict("records"):
        where = f"{table}: line {row['row']}"
        video, glosses = row["video"].strip(), tuple(one_form(row["gloss"]).split())
        for name, value in (("video", video), ("gloss", glosses)):
            if not value:
                raise SignloomError(f"{where}: {name} is empty; fill it in or remove the line")
        start, end = (read_seconds(row.get(name, "").strip(), name, where) for name in ("start_s", "end_s"))
        if end is not None and end <= (start or 0.0):
            raise SignloomError(f"{where}: end_s {end:g} is not after start_s {start or 0:g}")
        lines.append(Line(videos / video, glosses, start, end, where))
    if not lines:
        raise SignloomError(f"{table}: no line; expected one for each clip, with video and gloss")
    return lines


def split_line(text: str) -> tuple[str, ...]:
    """Return the glosses of a line; raises SignloomError if there is none."""
    if not (glosses := one_form(text).split()):
        raise SignloomError("align: --glosses is empty; expected glosses separated by spaces")
    return tuple(glosses)


def eaf_paths(target: Path, lines: Sequence[Line], table: bool) -> dict[Path, Path]:
    """Return the ELAN file of every video: `target`, or with `table` a file in the folder `target`.

    Raises SignloomError if two videos would share a file, or if clips of a video overlap, which a tier cannot
    show.
    """
    if not table:
        return {lines[0].video: target}
    _refuse_overlaps(lines)
    paths: dict[Path, Path] = {}
    for line in lines:
        path = target / f"{line.video.stem}.eaf"
        if line.video not in paths and path in paths.values():
            raise SignloomError(f"{line.where}: two videos would be written to {path}; rename one of them")
        paths[line.video] = path
    return paths


def _refuse_overlaps(lines: Sequence[Line]) -> None:
    ordered = sorted(lines, key=lambda line: (line.video, line.start_s or 0.0))
    for before, after in itertools.pairwise(ordered):
        overlap = before.end_s is None or before.end_s > (after.start_s or 0.0)
        if before.video == after.video and overlap:
            raise SignloomError(
                f"{after.where} overlaps with {before.where.rpartition(': ')[2]} in {after.video}, and a "
                "tier of ELAN cannot show both: part their times, align them one by one, or leave out --eaf"
            )


def align_clip(engine: SignEngine, tracker: Tracker, line: Line) -> list[TimedGloss]:
    """Return the glosses of a clip with their times.

    Raises VideoUnreadable if a frame cannot be read, SignloomError if too few frames show a person.
    """
    max_fps, folder_fps = bundle_landmarks(engine).max_fps, bundle_frame_rate(engine)
    raw = track_video(tracker, line.video, line.start_s, line.end_s, max_fps=max_fps, folder_fps=folder_fps)
    seen = timed_clip(engine, raw)
    places = engine.align(seen.clip, line.glosses) if len(seen.times) else None
    if places is None or any(place.end <= place.start for place in places):
        raise SignloomError(TOO_SHORT)
    times = seen.seconds(places)
    if not (times[:, 1] > times[:, 0]).all():  # rows show what was some frames ago
        raise SignloomError(TOO_SHORT)
    times = times + (line.start_s or 0.0)
    return [
        TimedGloss(gloss, round(float(start), 3), round(float(end), 3), round(place.score, 3))
        for gloss, (start, end), place in zip(line.glosses, times, places, strict=True)
    ]


def as_json(line: Line, found: Sequence[TimedGloss]) -> str:
    """Return a clip as one JSON object."""
    clip: dict[str, Any] = {"video": str(line.video), "start_s": line.start_s, "end_s": line.end_s}
    return json_line({**clip, "glosses": [one._asdict() for one in found]})


def as_text(line: Line, found: Sequence[TimedGloss]) -> str:
    """Return a clip as a few aligned lines."""
    rows = [f"  {one.start_s:7.2f} - {one.end_s:<7.2f}  {one.score:5.2f}  {one.gloss}" for one in found]
    return "\n".join([str(line.video), "    start - end      score  gloss", *rows])
