"""Open video files whose headers may hold anything."""

from pathlib import Path

import av
from av.container import InputContainer

LACKS_END = "has no mark of its end: copy it again, or save it again if that does not help"
# the numbers of Matroska's first two elements (RFC 9559, sections 5.1 and 8), which lie in its first bytes
_EBML, _SEGMENT, _HEAD = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", 4096

# MPEG-TS: the byte that begins each packet, and for each kind where it lies and how long a packet is
_TS_SYNC, _TS_PACKETS = 0x47, ((0, 188), (4, 192), (0, 204))


def open_media(path: Path, timeout_s: float | None = None) -> InputContainer:
    """Open a video file; raises av.FFmpegError or OSError as PyAV does.

    A title that is no UTF-8 is no reason not to see the film. `timeout_s` bounds opening and each reading.
    """
    # without the word file, FFmpeg takes what stands before a colon for a protocol
    opened: InputContainer = av.open(f"file:{path}", timeout=timeout_s, metadata_errors="replace")
    return opened


def cut_off(path: Path) -> str | None:
    """Return what a Matroska, WebM or MPEG-TS file lacks, or None if it is whole or of another form.

    FFmpeg reads such a file as a shorter film. Matroska says how long it is, unless it was sent while it was
    recorded (RFC 8794, section 6). MPEG-TS has packets of one length (ISO 13818-1, section 2.4.3.2), and the
    last of a cut file is seldom whole.
    """
    with path.open("rb") as file:
        start = file.read(_HEAD)
    for ahead, packet in _TS_PACKETS:
        if len(start) == _HEAD and set(start[ahead::packet]) == {_TS_SYNC}:
            over = path.stat().st_size % packet
            return f"ends within a packet, {over} of {packet} bytes; copy it again" if over else None
    place = 0
    for kind in (_EBML, _SEGMENT):
        if not start.startswith(kind, place) or place + len(kind) >= len(start):
            return None
        place += len(kind)
        # the number of leading zeros says how many bytes the size has; all ones mean that it is not known
        length = 9 - start[place].bit_length()
        bits = int.from_bytes(start[place : place + length], "big")
        size = bits & ((1 << 7 * length) - 1)
        if length > 8 or size == (1 << 7 * length) - 1:
            return None
        place += length + size
    there = path.stat().st_size
    return f"ends after {there:,} of {place:,} bytes; copy it again" if there < place else None


def lacks_end(data: bytes) -> bool:
    """Return whether a JPEG file has no mark of its end behind its lines (ITU-T T.81, B.1).

    OpenCV fills what was cut off with grey. A small picture in its head has marks of its own.
    """
    place = 2
    while data.startswith(b"\xff\xd8") and place + 4 <= len(data) and data[place] == 0xFF:
        if data[place + 1] == 0xDA:
            return data.find(b"\xff\xd9", place) < 0
        place += 1 if data[place + 1] == 0xFF else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False


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
