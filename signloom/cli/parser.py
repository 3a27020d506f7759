"""Options that all commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUNDLE = Path("build/export/sign_encoder_bundle.zip")


def add_command(
    commands: Any, run: Callable[[argparse.Namespace], int], name: str, **texts: str
) -> argparse.ArgumentParser:
    """Add the command `name` as `new_command` does, with the option `--bundle`."""
    parser = new_command(commands, run, name, **texts)
    parser.add_argument(
        "--bundle", type=Path, default=BUNDLE, metavar="ZIP", help="exported model (default: %(default)s)"
    )
    return parser


def new_command(
    commands: Any, run: Callable[[argparse.Namespace], int], name: str, **texts: str
) -> argparse.ArgumentParser:
    """Add the command `name` to the subparsers `commands`; `run` executes it.

    `texts` are argparse's help, description and epilog; the epilog keeps its line breaks.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts
    )
    parser.set_defaults(run=run)
    return parser
