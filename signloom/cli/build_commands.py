"""Commands about what was built: compare it, write its landmarks, take clips out of it."""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from signloom.cli.extras import need_corpora, need_points, need_scores
from signloom.cli.given import check_writable, path
from signloom.cli.new_command import new_command
from signloom.errors import SignloomError


def add_compare(commands: Any) -> None:
    """Add the command `compare`."""
    parser = new_command(
        commands,
        _run_compare,
        "compare",
        help="compare two builds clip by clip",
        description="Show which metrics moved between two builds, by how much, and on which clips.",
    )
    parser.add_argument("a", metavar="A", help="the build to compare with")
    parser.add_argument("b", metavar="B", help="the build that may be better")
    parser.add_argument("--clips", type=int, default=5, metavar="N", help="clips to list (default: 5)")
    parser.add_argument("--html", type=path, metavar="PAGE.html", help="also write a page with a picture")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def _run_compare(args: argparse.Namespace) -> int:
    need_scores("compare")
    if args.clips < 0:
        raise SignloomError(f"compare: --clips {args.clips}: expected 0 or more")
    if args.html and args.html.is_dir():
        raise SignloomError(f"compare: --html {args.html}: expected a file, this is a folder")
    if args.html:
        check_writable("compare: --html", args.html.parent)
    # slow to import: --help should not wait for it
    from signloom.cli.compare import run_compare

    return run_compare(args.a, args.b, args.clips, args.json, args.html)


def add_export_landmarks(commands: Any) -> None:
    """Add the command `export-landmarks`."""
    parser = new_command(
        commands,
        _run_export_landmarks,
        "export-landmarks",
        help="write landmarks or features as .pose files or tables",
        description="Write the landmarks or features of a build, one file for each clip.",
    )
    parser.add_argument("clips", nargs="*", metavar="CLIP_ID", help="clips to write (default: all)")
    parser.add_argument("--output", type=path, required=True, metavar="FOLDER", help="folder to write to")
    parser.add_argument(
        "--form",
        choices=["pose", "parquet", "csv"],
        default="pose",
        help="kind of file (default: %(default)s)",
    )
    parser.add_argument("--features", action="store_true", help="write features in place of landmarks")
    parser.add_argument(
        "--build", type=path, default=Path("build"), metavar="FOLDER", help="the build (default: %(default)s)"
    )


def _run_export_landmarks(args: argparse.Namespace) -> int:
    need_points("export-landmarks")
    check_writable("export-landmarks: --output", args.output)
    # slow to import: --help should not wait for it
    from signloom.cli.export_landmarks import export_landmarks

    return export_landmarks(args)


def add_withdraw(commands: Any) -> None:
    """Add the command `withdraw`."""
    parser = new_command(
        commands,
        _run_withdraw,
        "withdraw",
        help="take signers or clips out of the project",
        description="Remove clips, all that was made from them, and their copies in caches.",
    )
    parser.add_argument("signers", nargs="*", metavar="SIGNER", help="signer_id whose clips are withdrawn")
    parser.add_argument("--clips", nargs="+", default=[], metavar="CLIP_ID", help="clips to withdraw")
    parser.add_argument("--ended", action="store_true", help="withdraw the clips whose consent has ended")
    parser.add_argument(
        "--preset", default="", metavar="NAME", help="preset of the corpus (default: params.yaml alone)"
    )
    parser.add_argument(
        "--yes", action="store_true", help="remove; without it, only say what will be removed"
    )
    parser.add_argument("--verify", action="store_true", help="search for what is left of withdrawn clips")


def _run_withdraw(args: argparse.Namespace) -> int:
    if args.verify and (args.signers or args.clips or args.ended or args.yes):
        raise SignloomError("withdraw: --verify searches for all that was withdrawn; give it alone")
    need_corpora("withdraw")
    # slow to import: --help should not wait for it
    from signloom.cli.withdraw import verify, withdraw

    if args.verify:
        return verify(args.preset)
    return withdraw(args.preset, args.signers, args.clips, args.ended, args.yes, date.today())
