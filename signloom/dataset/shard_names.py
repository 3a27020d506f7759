"""Assign clips to shards by a stable hash of the clip id, so that new clips do not move the others."""

import hashlib


def shard_names(count: int) -> list[str]:
    """Return the names of `count` shards: zero-padded numbers from 0."""
    return [_name(number, count) for number in range(count)]


def shard_of(clip_id: str, count: int) -> str:
    """Return the name of the shard of `clip_id` out of `count`."""
    number = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") % count
    return _name(number, count)


def _name(number: int, count: int) -> str:
    return f"{number:0{max(2, len(str(count - 1)))}d}"
