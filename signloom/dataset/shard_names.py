"""Assign clips to shards by a stable hash of the clip id, so that new clips do not move the others."""

import hashlib


def shard_names(count: int) -> list[str]:
    """Return the names of `count` shards: zero-padded numbers from 0."""
    width = max(2, len(str(count - 1)))
    return [f"{number:0{width}d}" for number in range(count)]


def shard_of(clip_id: str, count: int) -> str:
    """Return the name of the shard of `clip_id` out of `count`."""
    number = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") % count
    return shard_names(count)[number]
