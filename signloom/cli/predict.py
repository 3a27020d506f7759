"""`signloom predict`: answer videos with the sentences of a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from signloom.cli.extras import need_video
from signloom.cli.parser import add_command
from signloom.errors import SignloomError

EPILOG = """\
examples:
  signloom predict clip.mp4                     one clip
  signloom predict videos/ --json > said.jsonl  all videos below a folder, one JSON object per line
  signloom predict clip.mp4 --picture clip.png  with a picture of the landmarks and the answer
  signloom predict --camera                     a camera, until Ctrl-C
  signloom predict clip.npz                     features, which need no video packages

A video is a file or a folder of numbered pictures. Features are a .npz file with `features` (frames, 540),
`mask` (frames, 4) and optionally `motion_mean`, or a .npy file with features alone. The exit code is 2 if a
file could not be read; the other files are still answered.
"""
FEATURES = frozenset({".npz", ".npy"})


def add_parser(commands: Any) -> None:
    """Add this command to `commands`, the subparsers of `signloom`."""
    parser = add_command(
        commands,
        run,
        "predict",
        help="recognise the sentence signed in a video",
        description="Answer videos with the sentences of a trained model, or refuse and give the reason.",
        epilog=EPILOG,
    )
    source = parser.add_argument_group("what to answer (one of)")
    source.add_argument(
        "videos",
        nargs="*",
        type=Path,
        metavar="CLIP",
        help="videos, folders of videos, or files of features",
    )
    source.add_argument("--stream", type=Path, metavar="VIDEO", help="answer a video as if it were live")
    source.add_argument(
        "--camera", type=int, nargs="?", const=0, metavar="N", help="answer camera N (default 0) until Ctrl-C"
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="sentences to list in an answer (default: the bundle's)"
    )
    parser.add_argument("--rerank", action="store_true", help="also rank by the order of the frames (slower)")
    parser.add_argument("--int8", action="store_true", help="use the smaller and faster encoder")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line, for programs")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="PNG_OR_FOLDER",
        help="draw landmarks and answer: to a .png file, or to one .png per video in a folder",
    )


def run(args: argparse.Namespace) -> int:
    """Answer the sources in `args`; return the exit code."""
    features = [path for path in args.videos if path.suffix.lower() in FEATURES]
    _check(args, features)
    # slow to import: --help and wrong arguments should not wait for it
    if features:
        from signloom.inference.command import answer_files, load_engine

        engine = load_engine(args.bundle, int8=args.int8, top=args.top)
        return answer_files(engine, features, as_json=args.json, rerank=args.rerank)
    need_video("predict")
    from signloom.cli.answering import answer

    return answer(args)


def _check(args: argparse.Namespace, features: list[Path]) -> None:
    """Raise SignloomError if the arguments do not fit together."""
    given = [bool(args.videos), args.stream is not None, args.camera is not None]
    if sum(given) != 1:
        raise SignloomError("predict: give videos, --stream VIDEO or --camera; see --help")
    if features and len(features) < len(args.videos):
        raise SignloomError("predict: give videos or features (.npz, .npy), not both")
    if args.top is not None and args.top < 1:
        raise SignloomError(f"predict: --top {args.top}: expected 1 or more")
    if args.picture and (features or not args.videos):
        raise SignloomError("predict: --picture works for videos, not for --stream, --camera or features")
