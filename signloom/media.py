"""Open video files whose headers may hold anything."""

from pathlib import Path

import av
from av.container import InputContainer


def open_media(path: Path, timeout_s: float | None = None) -> InputContainer:
    """Open a video file; raises av.FFmpegError or OSError as PyAV does.

    A title that is no UTF-8 is no reason not to see the film. `timeout_s` bounds opening and each reading.
    """
    # without the word file, FFmpeg takes what stands before a colon for a protocol
    opened: InputContainer = av.open(f"file:{path}", timeout=timeout_s, metadata_errors="replace")
    return opened


def origin_of(container: InputContainer) -> int:
    """Return where the file begins, in units of its first video stream: players and ELAN count from there.

    The sound may begin before the first picture. What lies before 0 is the start of a sound, and not played.
    """
    stream = container.streams.video[0]
    first = int(stream.start_time or 0)
    if container.start_time is None or not stream.time_base:
        return first
    begins = round(max(0, container.start_time) / av.time_base / stream.time_base)
    return min(first, int(begins))
