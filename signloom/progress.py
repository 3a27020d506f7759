"""Progress of long work: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(items: Iterable[T], label: str, total: int | None = None, unit: str = "clip") -> Iterator[T]:
    """Yield `items` and show the progress, the speed and the remaining time."""
    terminal = sys.stderr.isatty()
    bar = tqdm(
        items,
        desc=label,
        total=total,
        unit=unit,
        file=_LineEnds() if not terminal else sys.stderr,
        mininterval=0.2 if terminal else 10.0,
        ascii=not terminal,
        ncols=None if terminal else 96,
    )
    yield from bar


class _LineEnds:
    """A stderr for logs, in which every carriage return of tqdm starts a new line."""

    def write(self, text: str) -> int:
        line = text.replace("\r", "").rstrip()
        if line:
            sys.stderr.write(line + "\n")
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()
