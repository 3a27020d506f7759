"""The process that stands between native libraries and the terminal: `python chatter.py DATA CONTROL OUT`.

It reads lines from descriptor DATA and passes on to OUT all but chatter, which it holds back. A byte on the
socket CONTROL says how the work ended: `d` (done) drops what is held back, `s` (show) passes it on. A socket
that closes without a byte means that the process died, which is when its chatter is wanted most.
Only the standard library is imported: the program starts in the time of a bare interpreter.
"""

from __future__ import annotations

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
    """Passes lines on to a descriptor, chatter aside."""

    def __init__(self, out: int) -> None:
        """Write to the descriptor `out`."""
        self._out = out
        self._held: deque[bytes] = deque(maxlen=_HELD_LINES)
        self._begun = b""  # a line whose end has not come yet

    def take(self, data: bytes) -> None:
        """Take what was written, whole lines or not."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            if CHATTER.match(line):
                self._held.append(line)
            else:
                self._write(line + b"\n")

    def end(self, show: bool) -> None:
        """Write the line that is not finished and, if `show`, what was held back."""
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
    """Filter `data` to `out` until a byte comes on `control`; without one, until `data` ends."""
    lines = Filter(out)
    os.set_blocking(data, False)
    watched: list[int | socket.socket] = [data, control]
    while data in watched:
        ready = select.select(watched, [], [])[0]
        # asked first: what was written before the byte is there when the byte is
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
    """Take all that is there; return False at the end of the data."""
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
