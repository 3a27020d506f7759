"""Progress of long work: a bar on a terminal, a line every few seconds in a log."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

from signloom.cells import shown
from signloom.console import bar_stream

T = TypeVar("T")


def track(
    items: Iterable[T],
    label: str,
    total: int | None = None,
    unit: str = "clip",
    note: Callable[[], str] | None = None,
    after_s: float = 0.0,
) -> Iterator[T]:
    """Yield `items` and show the progress, the speed and the remaining time.

    `note` is called every second on a terminal, and every five in a log, for what to show behind the bar: how
    far the work is within an item that takes long. With `after_s` nothing is shown before so many seconds,
    and nothing stays on a terminal: for what a line of its own reports when it is done.
    """
    terminal = sys.stderr.isatty()
    bar = tqdm(
        items,
        desc=shown(label),
        total=total,
        unit=unit,
        file=_LineEnds() if not terminal else bar_stream(),
        mininterval=0.2 if terminal else 5.0,
        ascii=not terminal,
        ncols=None if terminal else 96,
        delay=after_s,
        leave=not after_s,
    )
    with _noted(bar, note, 1.0 if terminal else 5.0):
        yield from bar


def batches(items: Sequence[T], size: int, label: str) -> Iterator[Sequence[T]]:
    """Yield `size` of `items` at a time, fewer at the end, and show the progress."""
    for start in track(range(0, len(items), size), label, unit="batch"):
        yield items[start : start + size]


@contextmanager
def _noted(bar: Any, note: Callable[[], str] | None, every_s: float) -> Iterator[None]:
    """Write `note` behind `bar` every so many seconds, from a thread of its own."""
    if note is None:
        yield
        return
    done = threading.Event()

    def write() -> None:
        while not done.wait(every_s):
            bar.set_postfix_str(shown(note()))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def say(line: str) -> None:
    """Write `line` to standard error, above the bars that are there."""
    tqdm.write(shown(line), file=bar_stream())


class _LineEnds:
    """A stderr for logs, in which every carriage return of tqdm starts a new line."""

    def write(self, text: str) -> int:
        line = text.replace("\r", "").rstrip()
        if line:
            sys.stderr.write(line + "\n")
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()
