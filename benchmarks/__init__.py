"""Benchmarks, one command each; all print a ratio against a plain reference from the same run."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return how many cores this process may use; where the system cannot say (macOS), how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
