"""Ask git about the checkout in a folder."""

import os
import subprocess
from pathlib import Path

# how git says that there is nothing to ask about: no repository, or no commit in it yet
_NOTHING = ("not a git repository (or any", "does not have any commits yet", "unknown revision")


class GitFailed(Exception):
    """Git is missing or failed; the text is git's own line."""


def ask_git(folder: Path, *arguments: str) -> str:
    """Return what git prints in `folder`, "" outside a repository or before its first commit."""
    command, english = ["git", "-C", str(folder), *arguments], os.environ | {"LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", env=english)
    except FileNotFoundError as error:
        raise GitFailed("git is not installed") from error
    if done.returncode == 0:
        return done.stdout.strip()
    if any(text in done.stderr for text in _NOTHING):
        return ""
    raise GitFailed(next(iter(done.stderr.splitlines()), f"git ended with code {done.returncode}"))
