"""The loop over the epochs of a training, in which every run computes the same sums."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import deterministic

from signloom.errors import SignloomError
from signloom.progress import track
from signloom.training.progress import Progress, Row, console_line

_FIXED_ORDER = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
_STRIDE = 1_000_003  # a prime, so that seeds of epochs and of runs rarely meet
_LONG_S = 20.0  # of an epoch without a line

T = TypeVar("T")


def run_epochs(
    progress: Progress,
    train_epoch: Callable[[int], Row],
    after_epoch: Callable[[Sequence[Row]], None],
    seed: int,
    epochs: int,
    shown: Sequence[str],
) -> None:
    """Train until `epochs` are done; the console shows the figures `shown` of each.

    `train_epoch` trains and validates the epoch of a number from 0 and returns its figures. `after_epoch`
    gets the figures of all epochs so far.
    """
    for epoch in range(len(progress.rows), epochs):
        started = time.monotonic()
        # dropout depends only on the epoch, so a resumed run needs no generator state
        torch.manual_seed(seed + _STRIDE * (epoch + 1))
        progress.model.train()
        best = progress.add({"epoch": epoch + 1, **train_epoch(epoch)})
        seconds = time.monotonic() - started
        print(console_line(progress.rows[-1], epochs, seconds, best, shown), flush=True)
        after_epoch(progress.rows)


def shown_batches(batches: Iterable[T], label: str, count: int) -> Iterator[T]:
    """Yield the `count` batches of an epoch or its validation; what takes long shows its progress."""
    return track(batches, label, count, unit="batch", after_s=_LONG_S)


def check_finite(name: str, epoch: int, loss: float | None, lr: str, precision: str) -> None:
    """Raise SignloomError if a loss is NaN or infinite; `lr` and `precision` are the parameters to change."""
    if loss is not None and not math.isfinite(loss):
        raise SignloomError(
            f"{name} of epoch {epoch + 1} is {loss}: lower {lr}, or choose another {precision}"
        )


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Fix the number of threads and the algorithms, and restore the caller's settings and random state."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    # the same as use_deterministic_algorithms, which loads PyTorch's compiler first: seconds for nothing
    torch.set_deterministic_debug_mode("error")
    # memory that is never read before it is written needs no value first
    memory: Any = deterministic
    filled, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False
    # of the fused GPU kernels of attention, the others add gradients in no fixed order
    kernels = sdpa_kernel(_FIXED_ORDER) if torch.cuda.is_available() else nullcontext()
    try:
        with kernels, torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        memory.fill_uninitialized_memory = filled
