"""Errors that a user can mend."""

from __future__ import annotations


class SignloomError(Exception):
    """What was wrong, where, what was expected and what to do: shown as one line, exit code 2."""


class ProcessDied(SignloomError):
    """A process ended without a word of its own: what native libraries said may tell why, and is shown."""
