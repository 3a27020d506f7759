"""The learning rate as a function of the step."""

from __future__ import annotations

import math


def learning_rate(step: int, steps: int, base: float, warmup: int = 0, restarts: int = 0) -> float:
    """Return the rate of step `step` (from 0) out of `steps`.

    It rises linearly over `warmup` steps, then falls from `base` along a cosine towards 0, once, or
    `restarts` + 1 times in equal cycles (Loshchilov and Hutter 2017, equation 5).
    """
    if step < warmup:
        return base * (step + 1) / (warmup + 1)
    cycle = max(steps - warmup, 1) / (restarts + 1)
    part = (step - warmup) / cycle % 1
    return base * (1 + math.cos(math.pi * part)) / 2
