"""`signloom compare`: what changed between two builds, and whether it means anything."""

from __future__ import annotations

import argparse
from typing import Any

from signloom.cli.extras import need_scores
from signloom.cli.parser import new_command

EPILOG = """\
A and B are each one of these:
  folder        a checkout with a build, or the folder of a preset's products (build/mine)
  preset        the name of a preset that was built here
  revision      a git commit, branch or tag; its products come from DVC's cache or remote
  experiment    the name of a DVC experiment

examples:
  signloom compare HEAD~1 .                     the last commit, and what was built since
  signloom compare main my-experiment --json    for programs

Every row compares the same clips. The interval resamples clips, and seeds where both builds have several. A
difference counts if its p-value, corrected for the number of rows, is below 0.05.
"""


def add_parser(commands: Any) -> None:
    """Add this command to `commands`, the subparsers of `signloom`."""
    parser = new_command(
        commands,
        run,
        "compare",
        help="compare two builds clip by clip",
        description="Compare the error rates of two builds clip by clip, with paired intervals.",
        epilog=EPILOG,
    )
    parser.add_argument("a", metavar="A", help="the build to compare with")
    parser.add_argument("b", metavar="B", help="the build that may be better")
    parser.add_argument("--clips", type=int, default=10, metavar="N", help="clips to list (default: 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(args: argparse.Namespace) -> int:
    """Compare as `args` ask; return the exit code."""
    need_scores("compare")
    # slow to import: --help should not wait for it
    from signloom.cli.comparing import compare_builds

    return compare_builds(args.a, args.b, args.clips, args.json)
