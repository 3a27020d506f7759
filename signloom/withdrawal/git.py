"""What git says of a project: nothing where there is none, and an error where it cannot answer."""

from pathlib import Path

from signloom.errors import SignloomError
from signloom.git import GitFailed, ask_git


def git(*words: str) -> str:
    """Return what `git WORDS` prints, "" outside a repository.

    Raises SignloomError if git is missing or fails in a repository: its history may name withdrawn clips.
    """
    here = Path.cwd()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return ""
    try:
        return ask_git(here, *words)
    except GitFailed as error:
        raise SignloomError(f"withdraw: this project is in git, which must answer first: {error}") from error
