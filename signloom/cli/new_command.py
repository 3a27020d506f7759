"""A command of `signloom` with its options and the text below them."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def new_command(
    commands: Any, run: Callable[[argparse.Namespace], int], name: str, **texts: str
) -> argparse.ArgumentParser:
    """Add the command `name`, which `run` executes; `texts` are argparse's help and description.

    The text below its options is that of `<name>.txt` in this folder.
    """
    epilog = Path(__file__).with_name(f"{name}.txt").read_text("utf-8")
    parser: argparse.ArgumentParser = commands.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=epilog, **texts
    )
    parser.set_defaults(run=run)
    return parser
