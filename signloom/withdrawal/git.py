"""What git says of a project: nothing where there is none, and an error where it cannot answer."""

import os
import subprocess
from pathlib import Path

from signloom.errors import SignloomError


def git(*words: str) -> str:
    """Return what `git WORDS` prints, "" outside a repository.

    Raises SignloomError if git is missing or fails in a repository: its history may name withdrawn clips.
    """
    here = Path.cwd()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return ""
    try:
        done = subprocess.run(["git", *words], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise SignloomError("withdraw: this project is a git repository; install git") from error
    if done.returncode:
        said = os.fsdecode(done.stderr).strip()
        raise SignloomError(f"withdraw: git {words[0]} failed: {said or 'it says nothing'}")
    return os.fsdecode(done.stdout)
