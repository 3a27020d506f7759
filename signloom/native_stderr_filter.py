"""A process that filters what native libraries write to the terminal.

    python native_stderr_filter.py DATA CONTROL OUT

It reads lines from descriptor DATA, holds chatter back and passes every other line on to OUT. A byte on the
socket CONTROL says how the work ended: `d` (done) drops the held lines, `s` (show) passes them on. If the
socket closes without a byte, the process died, and its chatter may say why, so it is shown.
This module imports only the standard library, so that the process starts as fast as a bare interpreter.
"""

import os
import re
import select
import socket
import sys
from collections import deque

CHATTER = re.compile(
    rb"INFO: |WARNING: All log messages before"  # TensorFlow Lite, absl
    rb"|\[?[IW]\d{4} |\[ WARN:"  # information and warnings of absl and torch (I0101, W0101), OpenCV's
    rb"|(\x1b\[[\d;]*m)?[\d :.-]+\[[IW]:onnxruntime"  # ONNX Runtime's, in colour
)
DONE, SHOW = b"d", b"s"
_HELD_LINES = 1000


class Filter:
    """Passes lines on to a descriptor and holds chatter back."""

    def __init__(self, out: int) -> None:
        """Write to the descriptor `out`."""
        self._out = out
        self._held: deque[bytes] = deque(maxlen=_HELD_LINES)
        self._begun = b""  # a line that is not complete yet

    def take(self, data: bytes) -> None:
        """Take bytes that were written; the last line may be incomplete."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            if CHATTER.match(line):
                self._held.append(line)
            else:
                self._write(line + b"\n")

    def end(self, show: bool) -> None:
        """Write the unfinished line and, if `show`, the held lines."""
        begun, self._begun = self._begun, b""
        if begun:
            self.take(begun + b"\n")
        if show:
            for line in self._held:
                self._write(line + b"\n")
        self._held.clear()

    def _write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._out, line) :]


def main(data: int, control: socket.socket, out: int) -> None:
    """Filter `data` to `out` until a byte arrives on `control`, or else until `data` ends."""
    lines = Filter(out)
    os.set_blocking(data, False)
    watched: list[int | socket.socket] = [data, control]
    while data in watched:
        ready = select.select(watched, [], [])[0]
        # read the byte before the data: everything written before it is then already there
        asked = control.recv(1) if control in ready else None
        if not _drain(data, lines):
            watched.remove(data)
        if asked:
            return lines.end(show=asked == SHOW)
        if asked is not None:
            watched.remove(control)
            lines.end(show=True)
    return lines.end(show=control in watched and control.recv(1) != DONE)


def _drain(data: int, lines: Filter) -> bool:
    """Take all data that is available; return False at the end of the data."""
    while True:
        try:
            part = os.read(data, 65536)
        except BlockingIOError:
            return True
        if not part:
            return False
        lines.take(part)


if __name__ == "__main__":
    numbers = [int(number) for number in sys.argv[1:]]
    main(numbers[0], socket.socket(fileno=numbers[1]), numbers[2])
