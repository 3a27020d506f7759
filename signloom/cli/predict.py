"""`python -m signloom predict`: what does this video say?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from signloom.cli.parser import add_command
from signloom.errors import SignloomError

EPILOG = """\
examples:
  python -m signloom predict clip.mp4                     one clip
  python -m signloom predict videos/ --json > said.jsonl  all videos below a folder, one JSON object a line
  python -m signloom predict clip.mp4 --picture clip.png  with a picture of what was seen
  python -m signloom predict --camera                     a camera, until Ctrl-C

A video is a file or a folder of numbered pictures. The exit code is 2 where one could not be read; the
others are answered all the same.
"""


def add_parser(commands: Any) -> None:
    """Add this command to `commands`, the subparsers of `python -m signloom`."""
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
        metavar="VIDEO",
        help="videos, or folders whose videos are all answered",
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
    _check(args)
    # takes its time: help and mistakes should not wait for it
    from signloom.cli.answering import answer

    return answer(args)


def _check(args: argparse.Namespace) -> None:
    """Raise SignloomError where the arguments do not go together."""
    given = [bool(args.videos), args.stream is not None, args.camera is not None]
    if sum(given) != 1:
        raise SignloomError("predict: give videos, --stream VIDEO or --camera; see --help")
    if args.top is not None and args.top < 1:
        raise SignloomError(f"predict: --top {args.top}: expected 1 or more")
    if args.picture and not args.videos:
        raise SignloomError("predict: --picture is for videos, not for a stream")
