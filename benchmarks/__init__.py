"""Benchmarks, one command each; all print a ratio against a plain reference from the same run."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import signloom  # noqa: F401  before a benchmark imports ONNX Runtime, which otherwise reports to its makers

_RATIO = re.compile(r"^ratio, (.+): ([\d.]+)x$", re.MULTILINE)


def say_ratio(name: str, value: float) -> None:
    """Print how many times faster than its reference something is, in the form that `ratios` reads."""
    print(f"ratio, {name}: {value:.3f}x", flush=True)


def ratios(output: str) -> dict[str, float]:
    """Return the ratios by name that a benchmark printed with `say_ratio` among other lines."""
    return {name: float(value) for name, value in _RATIO.findall(output)}


def processor() -> str:
    """Return the name of the processor and the instruction set that PyTorch uses.

    Virtual machines shorten names to "AMD EPYC", so family and model are added where the system has them.
    """
    import torch  # takes seconds, and most benchmarks do not ask

    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name", platform.processor())
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
