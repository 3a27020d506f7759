"""Choose thresholds on the clips of a table and write a new bundle with them."""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from signloom.dataset.forms.table_files import read_table
from signloom.dataset.forms.texts import no_underscore, seconds_hint
from signloom.errors import SignloomError
from signloom.evaluation.calibration import GATES
from signloom.evaluation.outofset import IN_SET
from signloom.evaluation.recalibration import AskedClip, Recalibrated, kind_of, recalibrate
from signloom.export.package import write_recalibrated
from signloom.inference.engine import SignEngine
from signloom.inference.video import answer_video, bundle_tracker, seen_clip
from signloom.native_stderr import only_errors
from signloom.progress import say, track

LEFT_OUT = "left_out"
FEWEST = 5  # clips of sentences of the gallery; fewer say nothing about the next clip
_REFUSED = {
    "unsigned": "without a sentence_id",
    "unseen_sentence": "with a sentence_id that the bundle lacks",
    LEFT_OUT: "signed clips without their sentence in the gallery",
}
_LARGEST_ID = 2**31 - 1


class TableClip(NamedTuple):
    """A row of the table. `sentence` -1 means no sentence; an end of None is that of the video."""

    video: Path
    start_s: float | None
    end_s: float | None
    sentence_id: int


def calibrate(args: argparse.Namespace) -> int:
    """Run `calibrate`: choose thresholds and write the new bundle; return the exit code.

    Raises SignloomError if the table or the bundle cannot be used, or no thresholds can be chosen.
    """
    clips = read_clips(args.clips, args.videos or args.clips.parent)
    engine = SignEngine.load(args.bundle)
    kinds = [kind_of(engine, clip.sentence_id) for clip in clips]
    if IN_SET not in kinds:
        raise SignloomError(
            f"{args.clips}: no row has the sentence_id of a sentence that {args.bundle} answers with; "
            "embeddings_map.csv in it lists them"
        )
    if not args.insist:
        check_enough(args.clips, kinds, "rows")
    # before the long work, so that an invalid name fails early
    try:
        args.output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        where = f"--output in {args.output.parent}"
        raise SignloomError(f"calibrate: {where}: {error.strerror}; give another name") from error
    rate = args.max_false_accept_rate
    if rate is None:
        rate = engine.config["inference"]["max_false_accept_rate"]
    asked = ask(engine, clips)
    if not args.insist:
        check_enough(args.clips, [one.kind for one in asked if one.kind != LEFT_OUT], "readable clips")
    found = recalibrate(engine, asked, rate)
    digest = write_recalibrated(args.bundle, args.output, found.thresholds)
    unreadable = len(clips) - sum(one.kind != LEFT_OUT for one in asked)
    print("\n".join([*summary(asked, unreadable, found), "", *changes(engine, found)]))
    print(f"\n{args.output}: sha256 {digest}")
    for warning in doubts(asked, found):
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def read_clips(table: Path, videos: Path) -> list[TableClip]:
    """Return the rows of `table`; its video paths are relative to the folder `videos`.

    Raises SignloomError with the line of an invalid value or of a repeated clip.
    """
    rows = read_table(table, ["video", "sentence_id"])
    lines: dict[tuple[Path, float | None, float | None], int] = {}
    clips = []
    for row in rows.to_dict("records"):
        where = f"{table}: line {row['row']}"
        if not row["video"].strip():
            raise SignloomError(f"{where}: video is empty; expected a file name")
        start, end = (read_seconds(row.get(name, "").strip(), name, where) for name in ("start_s", "end_s"))
        if end is not None and end <= (start or 0.0):
            raise SignloomError(f"{where}: end_s {end:g} is not after start_s {start or 0:g}")
        key = videos / row["video"].strip(), start, end
        if lines.setdefault(key, row["row"]) != row["row"]:
            raise SignloomError(f"{where}: repeats the clip of line {lines[key]}; remove one of them")
        clips.append(TableClip(*key, _sentence_id(row["sentence_id"].strip(), where)))
    return clips


def check_enough(table: Path, kinds: Sequence[str], what: str) -> None:
    """Raise SignloomError if clips of these `kinds`, which it calls `what`, are too few to choose by.

    Thresholds of one clip fit that clip, and without one to be refused they let everything pass.
    """
    signed = sum(kind == IN_SET for kind in kinds)
    refused = len(kinds) - signed
    if signed < FEWEST or not refused:
        raise SignloomError(
            f"{table}: {what} with a sentence of the gallery: {signed}, that ought to be refused: {refused}; "
            f"thresholds need {FEWEST} and 1 at least: record more, or give --insist"
        )


def ask(engine: SignEngine, clips: Sequence[TableClip]) -> list[AskedClip]:
    """Return the answers to `clips`; signed clips are also asked without their sentence in the gallery.

    A video that cannot be read is reported on standard error and left out.
    """
    inference = engine.config["inference"]
    inference["top_k"] = max(2, inference["top_k"])  # the margin needs the second sentence
    asked: list[AskedClip] = []
    with only_errors(), bundle_tracker(engine) as tracker:
        for video, start_s, end_s, sentence in track(clips, "track videos"):
            try:
                seen = answer_video(engine, video, start_s, end_s, tracker=tracker, decode=False)
            except SignloomError as error:
                say(f"error: {video}: {error}")
                continue
            kind = kind_of(engine, sentence)
            asked.append(AskedClip(kind, sentence, seen.answer))
            if kind == IN_SET and seen.answer.matches and len(engine.gallery.sentences) > 1:
                own, motion, _ = seen_clip(engine, seen.raw)
                (apart,) = engine.answer_batch([own], [motion], decode=False, left_out=[sentence])
                asked.append(AskedClip(LEFT_OUT, sentence, apart))
    return asked


def summary(asked: Sequence[AskedClip], unreadable: int, found: Recalibrated) -> list[str]:
    """Return the number of clips of each kind, and how many were accepted before and after."""
    both = (found.before, found.after)
    cells = [["", "clips", "before", "now"]]
    right = [_count(figures, "accepted_and_right", "n_in") for figures in both]
    cells.append(["signed, accepted with their sentence", str(found.after["n_in"]), *right])
    wrong = [_count(figures, "false_accept_rate", "n_out") for figures in both]
    cells.append(["to be refused, but accepted", str(found.after["n_out"]), *wrong])
    for kind, label in _REFUSED.items():
        counts = [_count(figures[kind], "false_accept_rate", "n") for figures in both]
        cells.append([f"  {label}", str(found.after[kind]["n"]), *counts])
    unfit = sum(not one.answer.matches for one in asked)
    lines = _aligned(cells)
    if unfit:
        lines.append(
            f"{unfit} of these clips show nobody, are too short or hardly move; "
            "no threshold changes that they are refused"
        )
    if unreadable:
        lines.append(f"videos left out because they could not be read: {unreadable}")
    return lines


def changes(engine: SignEngine, found: Recalibrated) -> list[str]:
    """Return thresholds and rates before and after."""
    old, new = asdict(engine.thresholds), found.thresholds
    cells = [["", "before", "now"]]
    cells += [[name, f"{old[name]:.3f}", f"{new[name]:.3f}"] for name in (*GATES, "motion_floor")]
    for name in ("false_accept_rate", "accepted_and_right"):
        cells.append([name, *(f"{figures[name]:.3f}" for figures in (found.before, found.after))])
    return _aligned(cells)


def doubts(asked: Sequence[AskedClip], found: Recalibrated) -> list[str]:
    """Return warnings about why the thresholds may not be usable."""
    said = []
    if all(one.kind in (IN_SET, LEFT_OUT) for one in asked if one.answer.matches):
        said.append(
            "no clip shows a person who does not sign, so it was not tested whether such clips are refused"
        )
    if not found.after["accepted_and_right"]:
        said.append("no signed clip is accepted with its sentence")
    return said


def _count(figures: dict[str, Any], rate: str, total: str) -> str:
    """Return the number of clips that a rate stands for, `-` if it is undefined."""
    return "-" if figures[rate] is None else str(round(figures[rate] * figures[total]))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return table lines with the first column left-aligned and the others right-aligned."""
    left, *right = (max(map(len, column)) for column in zip(*rows, strict=True))
    numbers = [[f"{cell:>{width}}" for cell, width in zip(row[1:], right, strict=True)] for row in rows]
    return ["  ".join([f"{row[0]:<{left}}", *cells]) for row, cells in zip(rows, numbers, strict=True)]


def _sentence_id(text: str, where: str) -> int:
    try:
        number = int(no_underscore(text) or "-1")
    except ValueError:
        number = -2
    if not -1 <= number <= _LARGEST_ID:
        raise SignloomError(
            f"{where}: sentence_id {text!r}: expected the id of a sentence, or -1 or nothing for no sentence"
        )
    return number


def read_seconds(text: str, column: str, where: str) -> float | None:
    """Return a time of a table, None if it is empty; raises SignloomError if it is no time of a video."""
    if not text:
        return None
    try:
        value = float(no_underscore(text))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise SignloomError(
            f"{where}: {column} {text!r}: expected seconds from the start of the video{seconds_hint(text)}"
        )
    return value
