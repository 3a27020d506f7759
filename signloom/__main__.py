"""Commands for people.

`init` writes a preset for a folder of videos, and `check` says what its build will do. `predict` asks a
trained model what a video says, `align` when its glosses begin and end, and `spot` where a sign occurs.
`calibrate` fits the model to a camera, `compare` compares builds, `export-landmarks` writes landmarks for
other programs, and `withdraw` takes signers out of a project.
"""

import argparse
import sys
from pathlib import Path

from signloom import __version__
from signloom.cli.commands import add_commands
from signloom.console import run_program
from signloom.disk import disk_error
from signloom.errors import SignloomError


def main(argv: list[str] | None = None) -> int:
    """Run the command that `argv` names; return the exit code (2 for an error that a user can fix)."""
    # a program that is started owns its standard streams; one that calls `main` keeps its own
    return run_program(lambda: _run(None)) if argv is None else _run(argv)


def _run(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="signloom", description=__doc__)
    parser.add_argument("--version", action="version", version=f"signloom {__version__}")
    add_commands(parser.add_subparsers(metavar="COMMAND"))
    args = parser.parse_args(argv)
    if not hasattr(args, "run"):
        parser.print_help(sys.stderr)
        return 2
    try:
        return int(args.run(args))
    except SignloomError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if (known := disk_error(error, args.run.__name__.removeprefix("_run_"), Path())) is None:
            raise
        print(f"error: {known}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # the exit code of an interrupted command in a shell


if __name__ == "__main__":
    sys.exit(main())
