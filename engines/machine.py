"""What this machine offers to jobs: GPUs, and number formats that it would emulate."""

import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from signloom.errors import SignloomError
from signloom.params.schema import Params

# sections with a parameter `precision`, with their main work and the rules that read them
_PRECISIONS: dict[str, tuple[Any, set[str]]] = {
    "clip_features": ("convolution", {"clip_features", "clip_features_augmented"}),
    "sign2text": ("product", {"train_sign2text"}),
    "train_gloss": ("product", {"train_gloss"}),
}


def gpus_per_job() -> int:
    """Return 1 if jobs can get a GPU, else 0, so that jobs run side by side."""
    return int(Path("/dev/nvidiactl").exists() or cluster_has_gpus())


def cluster_has_gpus() -> bool:
    """Return whether a node of a SLURM cluster has a GPU; without one, SLURM refuses `--gpus=1`."""
    listed = _sinfo()
    return listed is not None and "gpu" in listed.stdout


def demand_cluster() -> None:
    """Raise SignloomError if SLURM does not say what its nodes have: no job would ask for a GPU."""
    listed = _sinfo()
    if listed is not None and listed.returncode:
        said = " ".join(listed.stderr.split())
        raise SignloomError(
            f"sinfo failed ({said}), so nobody knows whether the cluster has GPUs; "
            "start again when `sinfo` answers"
        )


@cache
def _sinfo() -> subprocess.CompletedProcess[str] | None:
    """Return what SLURM says of the devices of its nodes; None where there is no SLURM."""
    if shutil.which("sinfo") is None:
        return None
    return subprocess.run(["sinfo", "--noheader", "--format=%G"], capture_output=True, text=True)


def emulation_warnings(params: Params, rules: Iterable[str]) -> list[str]:
    """Return a warning for each precision of `params` that jobs of `rules` would emulate on this machine."""
    running = {name.removeprefix("side_") for name in rules}
    half = []
    for section, (work, readers) in _PRECISIONS.items():
        precision = getattr(params, section).precision
        if precision != "fp32" and running & readers:
            half.append((f"{section}.precision", precision, work))
    if not half:
        return []
    # imports PyTorch, which is slow
    from signloom.precision import emulation_warning

    return [line for asked in half if (line := emulation_warning(*asked))]
