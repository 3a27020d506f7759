"""Settings that make every run compute the same sums."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Fix the number of threads and the algorithms, and restore the caller's settings and random state."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    # the same as use_deterministic_algorithms, which loads PyTorch's compiler first: seconds for nothing
    torch.set_deterministic_debug_mode("error")
    # the fused GPU kernels of attention add gradients in no fixed order
    kernels = sdpa_kernel(SDPBackend.MATH) if torch.cuda.is_available() else nullcontext()
    try:
        with kernels, torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
