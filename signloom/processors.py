"""How many processors a program may use."""

import os


def usable_cores() -> int:
    """Return how many cores this process may use; where the system cannot say (macOS), how many there are.

    `taskset` and SLURM give a job fewer than the machine has. Quotas of time (`docker --cpus`) do not count.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
