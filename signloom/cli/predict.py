"""`signloom predict`: what does this video say?"""

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
  signloom predict videos/ --json > said.jsonl  all videos below a folder, one JSON object a line
  signloom predict clip.mp4 --picture clip.png  with a picture of what was seen
  signloom predict --camera                     a camera, until Ctrl-C
  signloom predict clip.npz                     features, which need no video packages

A video is a file or a folder of numbered pictures. Features are a .npz file with `features` (frames, 540),
`mask` (frames, 4) and, where known, `motion_mean`; or a .npy file with features alone. The exit code is 2
where a file could not be read; the others are answered all the same.
"""
FEATURES = frozenset({".npz", ".npy"})


def add_parser(commands: Any) -> None:
    """Add this command to `commands`, the subparsers of `signloom`."""
    parser = add_command(
        commands,
        run,
        "predict",
        help="say what videos say",
        description="Answer videos with the sentences of a trained model, or refuse to and say why.",
        epilog=EPILOG,
    )
    source = parser.add_argument_group("what to answer (one of)")
    source.add_argument(
        "videos",
        nargs="*",
        type=Path,
        metavar="CLIP",
        help="videos, folders whose videos are all answered, or features",
    )
    source.add_argument("--stream", type=Path, metavar="VIDEO", help="a video as it would be answered live")
    source.add_argument(
        "--camera", type=int, nargs="?", const=0, metavar="N", help="camera N (default 0), until Ctrl-C"
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="sentences an answer names (default: the bundle's)"
    )
    parser.add_argument(
        "--rerank", action="store_true", help="rank by how frames follow each other too (slower)"
    )
    parser.add_argument("--int8", action="store_true", help="use the smaller and faster encoder")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, for programs")
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="PNG_OR_FOLDER",
        help="draw what was seen and answered: to a .png, or to one .png a video in a folder",
    )


def run(args: argparse.Namespace) -> int:
    """Answer what `args` names; return the exit code."""
    features = [path for path in args.videos if path.suffix.lower() in FEATURES]
    _check(args, features)
    # takes its time: help and mistakes should not wait for it
    if features:
        from signloom.inference.command import answer_files, load_engine

        engine = load_engine(args.bundle, int8=args.int8, top=args.top)
        return answer_files(engine, features, as_json=args.json, rerank=args.rerank)
    need_video("predict")
    from signloom.cli.answering import answer

    return answer(args)


def _check(args: argparse.Namespace, features: list[Path]) -> None:
    """Raise SignloomError where the arguments do not go together."""
    given = [bool(args.videos), args.stream is not None, args.camera is not None]
    if sum(given) != 1:
        raise SignloomError("predict: give videos, --stream VIDEO or --camera; see --help")
    if features and len(features) < len(args.videos):
        raise SignloomError("predict: give videos or features (.npz, .npy), not both")
    if args.top is not None and args.top < 1:
        raise SignloomError(f"predict: --top {args.top}: expected 1 or more")
    if args.picture and (features or not args.videos):
        raise SignloomError("predict: --picture is for videos, not for a stream or features")
