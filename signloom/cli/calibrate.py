"""`signloom calibrate`: when is an answer given to clips of this camera?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from signloom.cli.extras import need_video
from signloom.cli.parser import add_command
from signloom.errors import SignloomError

EPILOG = """\
CLIPS.csv has one row a clip:
  video         file, or folder of numbered pictures, relative to --videos
  sentence_id   of a sentence that the bundle answers with (embeddings_map.csv in it lists them); empty or
                -1 for a clip that ought to be refused: somebody does not sign, or signs something else. An
                id that the bundle does not have ought to be refused too.
  start_s       optional: where the clip starts and ends in the video, in seconds
  end_s

  video,sentence_id
  anna/01.mp4,12
  anna/scratches_her_head.mp4,

Take signed clips of people whom the model was not trained on, 15 or more, and half a dozen of people who move
but do not sign. Few of these will do, as every signed clip is also asked with its own sentence taken out of
the gallery, and ought to be refused then; none will not, as nothing else stands for them. The figures printed
are those of the clips that the thresholds were chosen on: others come out a little worse.

A video that cannot be read is named and left out. The exit code is 2 where nothing can be chosen.
"""


def add_parser(commands: Any) -> None:
    """Add this command to `commands`, the subparsers of `signloom`."""
    parser = add_command(
        commands,
        run,
        "calibrate",
        help="choose when answers are given, on clips of your own camera",
        description="Write a bundle that differs in its thresholds, chosen on clips of your own camera.",
        epilog=EPILOG,
    )
    parser.add_argument("clips", type=Path, metavar="CLIPS.csv", help="what was recorded, see below")
    parser.add_argument(
        "--videos", type=Path, metavar="FOLDER", help="where the videos are (default: beside CLIPS.csv)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="NEW.zip", help="bundle to write")
    parser.add_argument(
        "--max-false-accept-rate",
        type=float,
        metavar="RATE",
        help="share of the clips to be refused that may be answered (default: the bundle's)",
    )


def run(args: argparse.Namespace) -> int:
    """Calibrate as `args` say; return the exit code."""
    _check(args)
    need_video("calibrate")
    # takes its time: help and mistakes should not wait for it
    from signloom.cli.calibrating import calibrate

    return calibrate(args)


def _check(args: argparse.Namespace) -> None:
    """Raise SignloomError where the arguments cannot be followed."""
    rate = args.max_false_accept_rate
    if rate is not None and not 0 <= rate <= 1:
        raise SignloomError(f"calibrate: --max-false-accept-rate {rate:g}: expected 0 to 1")
    if args.bundle.is_dir():
        raise SignloomError(f"calibrate: --bundle {args.bundle} is a folder; give the zip file in it")
    if args.output.suffix.lower() != ".zip" or args.output.is_dir():
        raise SignloomError(f"calibrate: --output {args.output}: expected the name of a .zip file")
    if args.output.exists() and args.bundle.exists() and args.output.samefile(args.bundle):
        raise SignloomError(f"calibrate: --output {args.output} is the bundle itself; give another name")
    if args.videos is not None and not args.videos.is_dir():
        raise SignloomError(f"calibrate: --videos {args.videos}: expected a folder")
