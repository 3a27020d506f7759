"""Errors that a user can fix."""


class SignloomError(Exception):
    """An error that says what was wrong, where, and what to do; shown as one line with exit code 2."""


class ProcessDied(SignloomError):
    """A process died without an error of its own, so the output of native libraries is shown."""
