"""Search bytes for traces of clips: names, hashes, and rows of numbers by their fingerprints.

A fingerprint is a 64-bit digest of 32 bytes, one for every row that has enough distinct bytes. Rows cannot be
computed from it, so a list of fingerprints may stay when the rows have gone.
"""

import mmap
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

WINDOW = 32  # bytes of a fingerprint
SHORTEST = 8  # bytes of a name that is searched for
_DISTINCT = 12  # bytes of a window: one with fewer, such as zeros, may stand anywhere
_CHUNK = 1 << 24
_BITS = 22  # of a word that decide whether it is worth a closer look
_OF_NAMES = frozenset((string.ascii_letters + string.digits + "_-").encode())


def names_of(clip_id: str) -> frozenset[str]:
    """Return the clip that a clip's id names, and the one that it would be an augmented copy of.

    A copy is named `<clip_id>#<number>`, but a file may be called so too.
    """
    return frozenset((clip_id, re.sub(r"#\d+$", "", clip_id)))


def fingerprints(rows: NDArray[Any]) -> Words:
    """Return one fingerprint for each of `rows` (T, D) that has a telling window; fewer if rows are short."""
    if not rows.size:
        return np.zeros(0, np.uint64)
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)
    per_row = flat.shape[1] // WINDOW
    if not per_row:  # rows of less than a window, joined
        flat, per_row = flat.reshape(1, -1)[:, : flat.size // WINDOW * WINDOW].reshape(-1, WINDOW), 1
    windows = flat[:, : per_row * WINDOW].reshape(len(flat), per_row, WINDOW)
    telling = (np.diff(np.sort(windows, axis=-1), axis=-1) != 0).sum(-1) + 1 >= _DISTINCT
    chosen = windows[np.arange(len(windows)), telling.argmax(1)][telling.any(1)]
    mixed = _mix(np.ascontiguousarray(chosen).view("<u8").astype(np.uint64))
    return np.unique(_join(mixed[:, 0], mixed[:, 1], mixed[:, 2], mixed[:, 3]))


def _mix(words: Words) -> Words:
    """Return `words` with their bits mixed, as the last step of splitmix64 does (Steele et al., 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _join(*words: Words) -> Words:
    total = words[0].copy()
    for word in words[1:]:
        total = (total << np.uint64(1) | total >> np.uint64(63)) ^ word
    return total


@dataclass(frozen=True)
class Traces:
    """What is searched for: `names` of at least SHORTEST bytes by what they are, and fingerprints of rows.

    A name counts where no letter, digit, _ or - stands beside it.
    """

    names: dict[bytes, str]
    rows: Words = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __post_init__(self) -> None:
        """Raise ValueError for a name that is too short."""
        if short := [name for name in self.names if len(name) < SHORTEST]:
            raise ValueError(f"{short[0]!r} is shorter than {SHORTEST} bytes")

    @cached_property
    def _tails(self) -> dict[int, list[bytes]]:
        tails: dict[int, list[bytes]] = {}
        for name in self.names:
            tails.setdefault(int.from_bytes(name[-8:], "little"), []).append(name)
        return tails

    @cached_property
    def _worth(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        return _table(np.array([*self._tails], np.uint64)), _table(self.rows)

    def in_bytes(self, data: bytes | mmap.mmap) -> set[str]:
        """Return what `data` holds: what each found name is, and "rows"."""
        longest = max(map(len, self.names), default=0) + WINDOW
        found: set[str] = set()
        for start in range(0, len(data), _CHUNK):
            found |= self._in_chunk(data[max(0, start - longest) : start + _CHUNK + WINDOW])
        return found

    def _in_chunk(self, data: bytes) -> set[str]:
        found: set[str] = set()
        names, rows = self._worth
        for shift in range(4):
            usable = (len(data) - shift) // 4 * 4
            quads = np.frombuffer(data, "<u4", usable // 4, shift).astype(np.uint64) if usable > 4 else None
            if quads is None:
                continue
            words = quads[:-1] | quads[1:] << np.uint64(32)  # 8 bytes, from every fourth byte on
            for place in np.flatnonzero(names[words & _MASK]).tolist() if len(self.names) else ():
                found |= self._name_at(data, int(words[place]), 4 * place + shift)
            if len(self.rows) and len(words) > 6:
                mixed = _mix(words)
                joined = _join(mixed[:-6], mixed[2:-4], mixed[4:-2], mixed[6:])
                likely = joined[rows[joined & _MASK]]
                if np.isin(likely, self.rows).any():
                    found.add("rows")
        return found

    def _name_at(self, data: bytes, tail: int, place: int) -> set[str]:
        """Return what the names are that end with the 8 bytes `tail` at `place`."""
        found, end = set(), place + 8
        for name in self._tails.get(tail, ()):
            start = end - len(name)
            beside = data[max(0, start - 1) : max(0, start)] + data[end : end + 1]
            if start >= 0 and data[start:end] == name and not _OF_NAMES.intersection(beside):
                found.add(self.names[name])
        return found


_MASK = np.uint64((1 << _BITS) - 1)


def _table(words: Words) -> NDArray[np.bool_]:
    table = np.zeros(1 << _BITS, bool)
    table[words & _MASK] = True
    return table


def as_written(name: str) -> Iterable[bytes]:
    """Return how files may write a name: as UTF-8, and with the escapes of JSON and HTML."""
    escaped = name.encode("ascii", "backslashreplace").decode()
    json = "".join(char if ord(char) < 128 else f"\\u{ord(char):04x}" for char in name)
    html = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {text.encode() for text in (name, escaped, json, html)}
