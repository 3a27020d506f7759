"""`signloom calibrate`: choose the thresholds of answers for your own camera."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from signloom.cli.extras import need_video
from signloom.cli.parser import add_command
from signloom.errors import SignloomError

EPILOG = """\
CLIPS.csv has one row per clip:
  video         file or folder of numbered pictures, relative to --videos
  sentence_id   the sentence that is signed, as in the bundle's embeddings_map.csv; empty or -1 for a clip
                that should be refused, because nobody signs in it or the bundle lacks the sentence. An
                unknown id also counts as a clip that should be refused.
  start_s       optional: start of the clip in the video, in seconds
  end_s         optional: end of the clip in the video, in seconds

  video,sentence_id
  anna/01.mp4,12
  anna/scratches_her_head.mp4,

Record 15 or more signed clips of people whom the model was not trained on, and about six clips of people who
move but do not sign. Six are enough, because every signed clip is also tested without its own sentence in the
gallery, and should be refused then. Do not leave them out: nothing else shows how movement without signing is
answered. The rates printed are for these clips; expect slightly worse ones for new clips.

A video that cannot be read is reported and left out. The exit code is 2 if no thresholds can be chosen.
"""


def add_parser(commands: Any) -> None:
    """Add this command to `commands`, the subparsers of `signloom`."""
    parser = add_command(
        commands,
        run,
        "calibrate",
        help="choose the thresholds of answers on clips from your own camera",
        description="Write a copy of a bundle with thresholds chosen on clips from your own camera.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "clips", type=Path, metavar="CLIPS.csv", help="table of the recorded clips, see below"
    )
    parser.add_argument(
        "--videos", type=Path, metavar="FOLDER", help="folder of the videos (default: that of CLIPS.csv)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="NEW.zip", help="bundle to write")
    parser.add_argument(
        "--max-false-accept-rate",
        type=float,
        metavar="RATE",
        help="highest share of clips answered that should be refused (default: the bundle's)",
    )


def run(args: argparse.Namespace) -> int:
    """Calibrate a bundle as `args` ask; return the exit code."""
    _check(args)
    need_video("calibrate")
    # slow to import: --help and wrong arguments should not wait for it
    from signloom.cli.calibrating import calibrate

    return calibrate(args)


def _check(args: argparse.Namespace) -> None:
    """Raise SignloomError if an argument is not usable."""
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
