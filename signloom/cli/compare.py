"""`signloom compare`: what changed between two builds, and whether it means anything."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from signloom.cli.extras import need_scores
from signloom.cli.parser import new_command
from signloom.errors import SignloomError

EPILOG = """\
A and B are each one of these:
  folder        a checkout with a build, or a folder below build: of a preset, seed or fold
  preset        the name of a preset that was built here
  revision      a git commit, branch or tag; its products come from DVC's cache or remote
  experiment    the name of a DVC experiment

examples:
  signloom compare HEAD~1 .                     the last commit, and what was built since
  signloom compare main my-experiment --json    for programs
  signloom compare HEAD~1 HEAD --html moved.html

Only what moved is shown. A metric that is computed clip by clip has a paired 95 % interval, over clips, and
over seeds where a build has several. It differs if its p-value, corrected for the number of such metrics, is
below 0.05, and with several seeds the interval leaves out 0. Other figures have no interval.
"""


def add_parser(commands: Any) -> None:
    """Add this command to `commands`, the subparsers of `signloom`."""
    parser = new_command(
        commands,
        run,
        "compare",
        help="compare two builds clip by clip",
        description="Show which metrics moved between two builds, by how much, and on which clips.",
        epilog=EPILOG,
    )
    parser.add_argument("a", metavar="A", help="the build to compare with")
    parser.add_argument("b", metavar="B", help="the build that may be better")
    parser.add_argument("--clips", type=int, default=5, metavar="N", help="clips to list (default: 5)")
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="also write a page with a picture")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(args: argparse.Namespace) -> int:
    """Compare as `args` ask; return the exit code."""
    need_scores("compare")
    if args.clips < 0:
        raise SignloomError(f"compare: --clips {args.clips}: expected 0 or more")
    if args.html and args.html.is_dir():
        raise SignloomError(f"compare: --html {args.html}: expected a file, this is a folder")
    # slow to import: --help should not wait for it
    from signloom.cli.comparing import run_compare

    return run_compare(args.a, args.b, args.clips, args.json, args.html)
