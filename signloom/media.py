"""Open video files whose headers may hold anything."""

import uuid
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer

LACKS_END = "has no mark of its end: copy it again, or save it again if that does not help"
# the numbers of Matroska's first two elements (RFC 9559, sections 5.1 and 8), which lie in its first bytes
_EBML, _SEGMENT, _HEAD = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", 4096

# MP4: the boxes that hold film or say where it lies, and what stands in place of a size of 32 bits
_FILM_BOXES, _LONG = (b"moov", b"mdat", b"moof"), b"\x00\x00\x00\x01"
_NO_SIZE = 0xFFFFFFFF  # of AVI
# the numbers of ASF's two main objects (Advanced Systems Format, section 10.1)
_ASF = tuple(
    uuid.UUID(name).bytes_le
    for name in ("75b22630-668e-11cf-a6d9-00aa0062ce6c", "75b22636-668e-11cf-a6d9-00aa0062ce6c")
)

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
    """Return what a file of a common form lacks, or None if it is whole or its form is another one.

    FFmpeg reads such a file as a shorter film. MPEG-TS has packets of one length (ISO 13818-1, section
    2.4.3.2), and the last of a cut file is seldom whole. The other forms say how long they are.
    """
    there = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_HEAD)
        for ahead, packet in _TS_PACKETS:
            if len(start) == _HEAD and set(start[ahead::packet]) == {_TS_SYNC}:
                over = there % packet
                return f"ends within a packet, {over} of {packet} bytes; copy it again" if over else None
        needed = _matroska_end(start) or _chunks_end(file, there)
    return f"ends after {there:,} of {needed:,} bytes; copy it again" if there < needed else None


def _matroska_end(start: bytes) -> int:
    """Return where a Matroska or WebM file with these first bytes ends, or 0 for any other.

    It does not say so (0) if it was sent while it was recorded (RFC 8794, section 6).
    """
    place = 0
    for kind in (_EBML, _SEGMENT):
        if not start.startswith(kind, place) or place + len(kind) >= len(start):
            return 0
        place += len(kind)
        # the number of leading zeros says how many bytes the size has; all ones mean that it is not known
        length = 9 - start[place].bit_length()
        bits = int.from_bytes(start[place : place + length], "big")
        size = bits & ((1 << 7 * length) - 1)
        if length > 8 or size == (1 << 7 * length) - 1:
            return 0
        place += length + size
    return place


def _chunks_end(file: BinaryIO, there: int) -> int:
    """Return where the last chunk with film ends, in a file of `there` bytes, or 0 if none says so.

    The forms are MP4 and QuickTime (ISO 14496-12, section 4.2), AVI, and ASF, which is that of WMV.
    """
    place = end = 0
    while place < there:
        file.seek(place)
        head = file.read(24)
        if head.startswith(b"RIFF"):
            size = int.from_bytes(head[4:8], "little")
            # some programs count the eight bytes before, too; a recorder that was stopped wrote no size
            place, end = place + 8 + size, place + size if size < _NO_SIZE else end
        elif head[:16] in _ASF:
            size = int.from_bytes(head[16:], "little")
            if not size:  # sent while it was recorded
                return end
            place = end = place + size
        elif head[4:8].isalnum():
            size = int.from_bytes(head[8:16] if head.startswith(_LONG) else head[:4], "big")
            place, end = place + size, place + size if head[4:8] in _FILM_BOXES else end
            if not size:  # the box goes on to the end of the file
                return end
        else:
            return end
    return end


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
