"""What a program prints: in every locale, and to a reader that may stop reading."""

import codecs
import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, TextIO

from signloom.cells import shown_lines

_STDOUT = "standard output"
_CLOSED_PIPE = 141  # as shells count a program that writes to a closed pipe: 128 + SIGPIPE
_DISK = 2
_STDERR = 2  # its descriptor


def run_program(work: Callable[[], int]) -> int:
    """Return the exit code of `work`, a program that owns the standard streams of its process.

    What the encoding of standard output lacks is printed as an escape, and so is what would steer the
    terminal. A reader that stops reading (`| head -1`) ends the program quietly, and a full disk with a line.
    """
    _open_closed()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout = Visible(sys.stdout)
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr = Visible(sys.stderr)
    try:
        try:
            code = work()
        except SystemExit:  # as --help ends
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except BrokenPipeError:
        if not reader_gone():
            raise
        _drop_rest()
        return _CLOSED_PIPE
    except OSError as error:
        if error.filename != _STDOUT:
            raise
        print(f"error: {_STDOUT}: {error.strerror}; what was printed is not whole", file=sys.stderr)
        _drop_rest()
        return _DISK
    return code


def _open_closed() -> None:
    """Open standard streams that are closed to nothing: the next file would get their number, and chatter."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(_STDERR, "w", encoding="utf-8", closefd=False)


def _drop_rest() -> None:
    # the interpreter flushes once more when it ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Visible(TextIOWrapper):
    """A standard stream whose text cannot steer the terminal: control characters are written as escapes."""

    def __init__(self, bare: TextIOWrapper) -> None:
        """Write to where `bare` does."""
        bare.flush()
        super().__init__(
            bare.buffer,
            bare.encoding,
            bare.errors,
            newline="\n",
            line_buffering=bare.line_buffering,
            write_through=bare.write_through,
        )
        self.bare = bare

    def write(self, text: str) -> int:
        """Write `text`; line feeds and tabs stay."""
        with self._named():
            super().write(shown_lines(text))
        return len(text)

    def flush(self) -> None:
        """Write what is held back; an OSError names the stream."""
        with self._named():
            super().flush()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = _STDOUT if self.fileno() == 1 else "standard error"
            raise


def bar_stream() -> TextIO:
    """Return standard error for progress bars, which move the cursor; others write to `sys.stderr`."""
    return sys.stderr.bare if isinstance(sys.stderr, Visible) else sys.stderr


def reader_gone() -> bool:
    """Return whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def json_line(value: Any) -> str:
    """Return `value` as one line of JSON that standard output can encode; NaN is refused."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    unicode = codecs.lookup(encoding).name.startswith("utf")
    return json.dumps(value, ensure_ascii=not unicode, allow_nan=False)


def number_of(number: int, one: str, many: str) -> str:
    """Return `number` and the words that fit it: `1 row is`, `2 rows are`."""
    return f"{number} {one if number == 1 else many}"
