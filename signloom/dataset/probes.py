"""Remember what video files were found to be, by their content, so that only new files are opened."""

import math
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ValidationError

from signloom import gate, media
from signloom.dataset import probe
from signloom.files import hash_files, write_json


class _Stored(BaseModel):
    made_by: str
    answers: dict[str, float]


class Probes:
    """Answers about sources of the last run; those that nobody asked for in this run are forgotten."""

    def __init__(self, store: Path | None) -> None:
        """Load the file `store`, if there is one; without a store, nothing outlasts the run.

        A store that is damaged, or of other code or another PyAV, counts as empty.
        """
        code = hash_files([Path(gate.__file__), Path(media.__file__), Path(probe.__file__)])
        self._store, self._made_by = store, f"{code} av {version('av')}"
        self._last: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        if store and store.exists():
            with suppress(ValidationError):
                found = _Stored.model_validate_json(store.read_bytes())
                if found.made_by == self._made_by:
                    self._last = found.answers

    def recall(self, path: Path, content: str, question: str) -> float | None:
        """Return the answer about a source `path` with this content hash, or None if it must be asked.

        A file that could not be hashed has the content "" and is always asked.
        """
        key = _key(path, content, question)
        if key in self._last:
            self._asked[key] = self._last[key]
        return self._asked.get(key)

    def remember(self, path: Path, content: str, question: str, answer: float | None) -> None:
        """Keep an answer. None and NaN are not kept: the file may not have been readable at that time."""
        if content and answer is not None and not math.isnan(answer):
            self._asked[_key(path, content, question)] = answer

    def save(self) -> None:
        """Write the answers of this run, if there is a store."""
        if self._store:
            write_json(self._store, {"made_by": self._made_by, "answers": self._asked})


def _key(path: Path, content: str, question: str) -> str:
    # the suffix counts, because it decides how a file is read
    return f"{content}{path.suffix.lower()} {question}"
