"""Open video files whose headers may hold anything."""

from pathlib import Path

import av
from av.container import InputContainer


def open_media(path: Path, timeout_s: float | None = None) -> InputContainer:
    """Open a video file; raises av.FFmpegError or OSError as PyAV does.

    A title that is no UTF-8 is no reason not to see the film. `timeout_s` bounds opening and each reading.
    """
    opened: InputContainer = av.open(str(path), timeout=timeout_s, metadata_errors="replace")
    return opened
