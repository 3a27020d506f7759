"""Errors that a user can fix."""

from pathlib import Path

from signloom.cells import shown_lines

PARAMS_FILE = Path("params.yaml")
PRESETS = Path("config/presets")


class SignloomError(Exception):
    """An error that says what was wrong, where, and what to do; shown as one line with exit code 2."""

    def __str__(self) -> str:
        """Return the message; a name or text in it cannot steer the terminal of whoever shows it."""
        return shown_lines(super().__str__())


class ProcessDied(SignloomError):
    """A process died without an error of its own, so the output of native libraries is shown."""


def need_project() -> None:
    """Raise SignloomError if the working folder is none of a project."""
    if not PARAMS_FILE.exists():
        raise SignloomError(f"{PARAMS_FILE} is not in this folder; run the command in the project's folder")
