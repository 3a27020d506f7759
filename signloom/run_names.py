"""Names of runs, read from the folders that their products lie in.

Products of another seed than the first lie below `seeds/<seed>/`, those of a fold below `folds/<fold>/`.
"""

from pathlib import Path


def run_name(path: Path, variant: str) -> str:
    """Return the name of the run of `variant` that `path` belongs to: the variant, or `<variant>-<seed>`."""
    seed = folder_after(path, "seeds")
    return f"{variant}-{seed}" if seed else variant


def folder_after(path: Path, folder: str) -> str:
    """Return the part of `path` that follows the last part `folder`, or "" if there is no such part."""
    _, found, after = path.as_posix().rpartition(f"/{folder}/")
    return after.split("/")[0] if found else ""
