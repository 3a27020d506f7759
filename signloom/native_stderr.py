"""Limit what native libraries write to standard error to errors."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from signloom import native_stderr_filter
from signloom.console import Visible, reader_gone
from signloom.errors import ProcessDied, SignloomError


@contextmanager
def only_errors() -> Iterator[None]:
    """Hold back chatter that is written to descriptor 2; other lines, and all lines of Python's own, pass.

    The held lines are shown if the work fails: if the process dies inside the block, or an error other than a
    plain SignloomError leaves it. Processes that the block starts are filtered too.
    """
    if sys.stderr is None:  # a program may be started without it
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    filtering, control = _start_filter(terminal)
    python = sys.stderr
    bare = python.bare if isinstance(python, Visible) else python
    if isinstance(bare, TextIOWrapper) and bare is sys.__stderr__:
        # a copy of the original descriptor, so that isatty() still gives the right answer
        copy = os.fdopen(os.dup(terminal), "w", buffering=1, encoding=bare.encoding, errors=bare.errors)
        sys.stderr = Visible(copy)
    verdict = native_stderr_filter.SHOW
    try:
        yield
        verdict = native_stderr_filter.DONE
    except ProcessDied:
        raise
    except (SignloomError, KeyboardInterrupt, SystemExit):
        verdict = native_stderr_filter.DONE
        raise
    except BrokenPipeError:
        verdict = native_stderr_filter.DONE if reader_gone() else native_stderr_filter.SHOW
        raise
    finally:
        if sys.stderr is not python:
            sys.stderr.close()
            sys.stderr = python
        os.dup2(terminal, 2)
        os.close(terminal)
        # the filter shows everything that was written before the byte and then ends
        with control, suppress(OSError):
            control.sendall(verdict)
        filtering.wait()


def _start_filter(terminal: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Send descriptor 2 through a filter that writes to `terminal`; return it and its control socket."""
    ours, theirs = socket.socketpair()
    out, into = os.pipe()
    command = [sys.executable, "-I", "-S", str(Path(native_stderr_filter.__file__))]
    passed = (out, theirs.fileno(), terminal)
    # its own session, so that Ctrl-C stops the work but not the filter, which still has to pass its output on
    filtering = subprocess.Popen(
        [*command, *map(str, passed)],
        pass_fds=passed,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(out)
    theirs.close()
    os.dup2(into, 2)
    os.close(into)
    return filtering, ours
