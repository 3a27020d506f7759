"""Number formats of networks, and a warning if this machine emulates one, which is much slower than fp32."""

import sys
import time
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Work = Literal["convolution", "product"]

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# measured: native half precision takes 0.3 to 2 times as long as fp32, emulated half precision 4 to 30 times
_EMULATED = 3.0


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return a context in which products run in `precision`: fp32, bf16 or fp16."""
    return torch.autocast(device.type, FORMATS[precision], enabled=precision != "fp32")


def emulation_warning(key: str, precision: str, work: Work) -> str | None:
    """Return one line that says how slow `precision` of parameter `key` is here, or None if it is native.

    A processor is measured for a fraction of a second instead of looked up in a list, because emulation
    depends on its instructions, on PyTorch's kernels, and on settings that hide instructions. A GPU reports
    it by itself.
    """
    if precision == "fp32":
        return None
    if torch.cuda.is_available():
        if precision != "bf16" or torch.cuda.is_bf16_supported(including_emulation=False):
            return None
        return f"{key} {precision}: this GPU emulates {precision}; fp16 or fp32 is faster (set {key})"
    ratio = slowdown(precision, work)
    if ratio < _EMULATED:
        return None
    return (
        f"{key} {precision}: this processor emulates {precision}, about {ratio:.0f} times slower than fp32; "
        f"set {key} to fp32"
    )


def warn_if_emulated(key: str, precision: str, work: Work) -> None:
    """Print `emulation_warning` on standard error, if there is one."""
    if warning := emulation_warning(key, precision, work):
        print(f"warning: {warning}", file=sys.stderr, flush=True)


def slowdown(precision: str, work: Work) -> float:
    """Return how many times longer a small `work` takes in `precision` than in fp32 on this processor."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            exact = _shortest(_WORKS[work])
            with autocast(torch.device("cpu"), precision):
                return _shortest(_WORKS[work]) / exact
    finally:
        torch.set_num_threads(threads)


def _convolution() -> Tensor:
    return F.conv3d(torch.ones(1, 32, 4, 14, 14), torch.ones(32, 32, 3, 3, 3), padding=1)


def _product() -> Tensor:
    return F.linear(torch.ones(256, 256), torch.ones(256, 256))


_WORKS: dict[Work, Callable[[], Tensor]] = {"convolution": _convolution, "product": _product}


def _shortest(work: Callable[[], Tensor]) -> float:
    """Return the shortest of several times in seconds of this thread, which wait for no other process."""
    times = []
    for _ in range(4):
        started = time.thread_time()
        work()
        times.append(time.thread_time() - started)
    return min(times)
