"""Errors that a user can fix."""

from pathlib import Path

PARAMS_FILE = Path("params.yaml")
PRESETS = Path("config/presets")


class SignloomError(Exception):
    """An error that says what was wrong, where, and what to do; shown as one line with exit code 2."""


class ProcessDied(SignloomError):
    """A process died without an error of its own, so the output of native libraries is shown."""


def need_project() -> None:
    """Raise SignloomError if the working folder is none of a project."""
    if not PARAMS_FILE.exists():
        raise SignloomError(f"{PARAMS_FILE} is not in this folder; run the command in the project's folder")
