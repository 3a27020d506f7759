"""Native libraries that chat on standard error, made to say errors alone."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from threading import Thread

# TensorFlow Lite, absl's information and warnings (I0101, W0101), OpenCV's warnings
_CHATTER = re.compile(rb"INFO: |WARNING: All log messages before|[IW]\d{4} |\[ WARN:")


@contextmanager
def only_errors() -> Iterator[None]:
    """Drop the chatter that is written to descriptor 2; other lines, and all of Python's own, pass."""
    sys.stderr.flush()
    terminal = os.dup(2)
    out, into = os.pipe()
    os.dup2(into, 2)
    os.close(into)
    reader = Thread(target=_pass_on, args=(out, terminal))
    reader.start()
    python = sys.stderr
    if isinstance(python, TextIOWrapper) and python is sys.__stderr__:
        # so that it still knows whether it writes to a terminal
        sys.stderr = os.fdopen(os.dup(terminal), "w", buffering=1, encoding=python.encoding)
    try:
        yield
    finally:
        if sys.stderr is not python:
            sys.stderr.close()
            sys.stderr = python
        os.dup2(terminal, 2)
        reader.join()
        os.close(terminal)


def _pass_on(source: int, terminal: int) -> None:
    with os.fdopen(source, "rb") as lines:
        for line in lines:
            if not _CHATTER.match(line):
                os.write(terminal, line)
