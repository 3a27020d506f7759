"""Whether jobs can get a GPU, on this machine or on a cluster."""

import shutil
import subprocess
from functools import cache
from pathlib import Path


def gpus_per_job() -> int:
    """Return 1 if jobs can get a GPU, else 0, so that jobs run side by side."""
    return int(Path("/dev/nvidiactl").exists() or cluster_has_gpus())


@cache
def cluster_has_gpus() -> bool:
    """Return whether a node of a SLURM cluster has a GPU; without one, SLURM refuses `--gpus=1`."""
    if shutil.which("sinfo") is None:
        return False
    listed = subprocess.run(["sinfo", "--noheader", "--format=%G"], capture_output=True, text=True)
    return "gpu" in listed.stdout
