"""What a program prints: in every locale, and to a reader that may stop reading."""

import codecs
import json
import os
import select
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any, TextIO

from signloom.cells import shown_lines

_CLOSED_PIPE = 141  # as shells count a program that writes to a closed pipe: 128 + SIGPIPE


def run_program(work: Callable[[], int]) -> int:
    """Return the exit code of `work`, a program that owns the standard streams of its process.

    What the encoding of standard output lacks is printed as an escape, and so is what would steer the
    terminal. A reader that stops reading (`| head -1`) ends the program quietly.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout = Visible(sys.stdout)
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr = Visible(sys.stderr)
    try:
        try:
            code = work()
        except SystemExit:  # as --help ends
            _flush()
            raise
        _flush()
    except BrokenPipeError:
        if not reader_gone():
            raise
        # the interpreter flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    return code


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
        super().write(shown_lines(text))
        return len(text)


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


def _flush() -> None:
    if sys.stdout is not None:  # as it is where a program is started with it closed
        sys.stdout.flush()
