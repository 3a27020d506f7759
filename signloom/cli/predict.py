"""`signloom predict`: print the answers to videos, streams and cameras as they come."""

import argparse
import itertools
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from signloom.cells import shown
from signloom.console import bar_stream, json_line
from signloom.dataset.landmark_sources import holds_frames
from signloom.dataset.probe import VIDEO_SUFFIXES
from signloom.errors import SignloomError
from signloom.features.pose.faces import FaceFinder
from signloom.gate import PICTURES, is_hidden, why_shut
from signloom.inference.annotations import AnsweredPassage, refuse_others, write_eaf, write_subtitles
from signloom.inference.answer import Answer
from signloom.inference.answer_text import NONE, clip_table, company_text, decision
from signloom.inference.command import load_engine
from signloom.inference.company import Look
from signloom.inference.engine import SignEngine
from signloom.inference.stream import EVERY_S, SignStream, StreamEvent
from signloom.inference.video import Tracker, answer_video, bundle_frame_rate, bundle_tracker
from signloom.native_stderr import only_errors
from signloom.video.camera import camera_frames
from signloom.video.decode import Frame, VideoUnreadable, read_frames


def answer(args: argparse.Namespace) -> int:
    """Answer the sources that `predict` was given; return the exit code, 2 if a video cannot be read.

    Raises SignloomError if the bundle, a stream or a camera cannot be opened, or an ELAN file would be lost.
    """
    if args.eaf:
        refuse_others(args.eaf)  # before the long work
    engine = load_engine(args.bundle, int8=args.int8, top=args.top)
    finder = FaceFinder if args.videos or args.stream else nullcontext
    with only_errors(), bundle_tracker(engine) as tracker, finder() as faces:
        cut = bool(args.eaf or args.vtt or args.srt)
        if args.videos and not cut:
            return _answer_clips(args, engine, tracker, faces)
        video = _film(args)
        look = Look(faces, video, None, None) if video else None
        if video and look:
            rate = bundle_frame_rate(engine)
            frames = look.through(frame_bar(video.name, video)(read_frames(video, folder_fps=rate)))
        else:
            frames = camera_frames(args.camera)
        # of a video that is answered into a file, only what goes into the file is printed
        every_s = math.inf if args.videos else EVERY_S
        stream = SignStream(engine, tracker, every_s=every_s, rerank=args.rerank, cut=cut)
        passages: list[AnsweredPassage] = []
        try:
            _answer_stream(args, stream, frames, passages, look)
        except VideoUnreadable as error:
            if passages:  # what was understood before a damaged frame is kept
                _write_files(args, passages, video, engine.unit)
            raise SignloomError(f"{video}: {error}") from error
        _write_files(args, passages, video, engine.unit)
    return 0


def _answer_clips(
    args: argparse.Namespace, engine: SignEngine, tracker: Tracker, faces: FaceFinder | None
) -> int:
    videos = [video for given in args.videos for video in videos_in(given)]
    pictures = picture_paths(args.picture, videos) if args.picture else []
    failed = False
    for number, video in enumerate(videos, 1):
        label = f"{number}/{len(videos)} {video.name}"
        try:
            seen = answer_video(
                engine,
                video,
                tracker=tracker,
                rerank=args.rerank,
                watch=frame_bar(label, video),
                check_mirror=True,
                faces=faces,
            )
        except SignloomError as error:
            print(f"error: {video}: {error}", file=sys.stderr)
            failed = True
            continue
        if args.json:
            _print_json({"video": str(video)}, seen.answer)
        else:
            end = "\n\n" if number < len(videos) else "\n"
            print(clip_table(str(video), seen.answer), end=end, flush=True)
        if args.picture:
            # a slow import
            from signloom.cli.picture import write_picture

            write_picture(pictures[number - 1], video, seen)
    return 2 if failed else 0


def _film(args: argparse.Namespace) -> Path | None:
    """Return the video to cut into passages, None for a camera; raise SignloomError for landmarks alone."""
    video: Path | None = _one_video(args.videos[0]) if args.videos else args.stream
    if video and video.is_dir() and holds_frames(video):
        option = next((name for name in ("eaf", "vtt", "srt") if getattr(args, name)), "stream")
        raise SignloomError(f"predict: --{option} works for a video, and {video} has landmarks alone")
    return video


def _one_video(given: Path) -> Path:
    """Return the only video that `given` stands for; raise SignloomError if it is a folder of several."""
    videos = videos_in(given)
    if len(videos) > 1:
        raise SignloomError(
            f"predict: {given} holds {len(videos)} videos; files of answers are for one video"
        )
    return videos[0]


def _answer_stream(
    args: argparse.Namespace,
    stream: SignStream,
    frames: Iterable[Frame],
    passages: list[AnsweredPassage],
    look: Look | None,
) -> None:
    """Print every answer as it comes, and add the final ones to `passages`; then say whom `look` saw read.

    Ctrl-C ends the stream as if its last frame had been read. So does a damaged frame, and then
    VideoUnreadable is raised.
    """
    answers, damaged = 0, None
    try:
        for frame in frames:
            answers += _print_events(args, stream.push(frame.image, frame.time_s), passages, look)
    except KeyboardInterrupt:
        pass
    except VideoUnreadable as error:
        damaged = error
    answers += _print_events(args, stream.finish(), passages, look)
    if look and (company := look.company()):
        print(f"warning: {company_text(company)}", file=sys.stderr)
    if damaged:
        raise damaged
    if not answers:
        print("no answer: nobody was seen moving", file=sys.stderr)


def _write_files(
    args: argparse.Namespace, passages: list[AnsweredPassage], video: Path | None, unit: str
) -> None:
    """Write the files of answers that `args` names."""
    for form in ("vtt", "srt"):
        if path := getattr(args, form):
            write_subtitles(path, passages, form)
    if args.eaf:
        write_eaf(args.eaf, passages, video, unit)
    accepted = sum(passage.answer.accepted for passage in passages)
    for path in filter(None, (args.eaf, args.vtt, args.srt)):
        print(f"{path}: {accepted} of {len(passages)} passages answered", file=sys.stderr)


def _print_events(
    args: argparse.Namespace,
    events: list[StreamEvent],
    passages: list[AnsweredPassage],
    look: Look | None,
) -> int:
    """Print `events`, and add the final ones to `passages`; return their number."""
    for event in events:
        if event.kind != "partial":
            passages.append(AnsweredPassage(*event.span_s, event.answer))
            if look:
                look.keep(event.raw)
        if args.json:
            begun_s, ended_s = event.span_s
            times = {"start_s": begun_s, "end_s": ended_s, "latency_s": event.latency_s}
            _print_json({"event": event.kind, **times}, event.answer)
        else:
            print(stream_line(event), flush=True)
    return len(events)


def _print_json(head: dict[str, Any], answer: Answer) -> None:
    print(json_line(head | answer.to_dict()), flush=True)


def stream_line(event: StreamEvent) -> str:
    """Return one event of a stream as a line: times, kind, latency, confidence and sentence."""
    answer = event.answer
    begun_s, ended_s = event.span_s
    kind = "partial" if event.kind == "partial" else "final"
    sentence = answer.matches[0].sentence if answer.matches else NONE
    share = f"{answer.matches[0].confidence:.2f}" if answer.matches else NONE
    head = f"{begun_s:7.2f}-{ended_s:<6.2f} s  {kind:<7}  {1000 * event.latency_s:4.0f} ms"
    line = f"{head}  {share:>4}  {sentence}"
    if kind == "partial":
        return line
    decoded = "" if answer.text is None else f"; decoded: {answer.text or NONE}"
    return f"{line}  [{decision(answer)}{decoded}]"


def videos_in(given: Path) -> list[Path]:
    """Return the video files below a folder, by path; a file, or a folder without videos, is one video.

    Pictures beside videos do not count: `--picture` may have drawn them. Raises SignloomError for a folder of
    other files that `predict` reads, because such files are named.
    """
    if why_shut(given) or not given.is_dir():
        return [given]
    shown = sorted(file for file in given.rglob("*") if not is_hidden(file.relative_to(given)))
    videos = [file for file in shown if file.suffix.lower() in VIDEO_SUFFIXES]
    others = [file for file in shown if file.suffix.lower() in (".npz", ".npy", ".pose")]
    is_clip = any(file.suffix.lower() in PICTURES for file in given.iterdir()) or holds_frames(given)
    if others and not videos and not is_clip:
        place = shlex.quote(str(others[0].parent))
        raise SignloomError(
            f"predict: {given} holds no video. Name files of features and .pose files, not their folder: "
            f"signloom predict {place}/*{others[0].suffix}"
        )
    return videos or [given]


def picture_paths(target: Path, videos: list[Path]) -> list[Path]:
    """Return the path of each video's picture: `target` if it is a .png, else a file in the folder `target`.

    Files in a folder are named after their videos, with the parent folders needed to tell these apart. Raises
    SignloomError if several videos would share a .png.
    """
    if target.suffix.lower() != ".png":
        parts = [video.resolve().parts[1:] for video in videos]
        deep = next(n for n in itertools.count(1) if len({part[-n:] for part in parts}) == len({*parts}))
        return [target / Path(*part[-deep:-1], f"{part[-1]}.png") for part in parts]
    if len(videos) > 1:
        raise SignloomError(f"--picture {target}: expected a folder for {len(videos)} videos, not one file")
    return [target]


def frame_bar(label: str, video: Path) -> Callable[[Iterable[Frame]], Iterable[Frame]]:
    """Return a wrapper of frames that shows a progress bar for long videos on a terminal."""
    if not sys.stderr.isatty():
        return iter

    def watch(frames: Iterable[Frame]) -> Iterator[Frame]:
        # a folder of pictures has no frame count
        total = int(cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT)) if video.is_file() else 0
        file = bar_stream()
        yield from tqdm(frames, shown(label), total or None, leave=False, file=file, unit="frame")

    return watch
