"""The settings of AdamW that both families share, and the learning rate as a function of the step."""

from __future__ import annotations

import math

BETAS = (0.9, 0.98)  # those of Vaswani et al. 2017, section 5.3, which Transformers are trained with since


def learning_rate(step: int, steps: int, base: float, warmup: int = 0, restarts: int = 0) -> float:
    """Return the learning rate at step `step` (from 0) of `steps`.

    It rises linearly over `warmup` steps, then falls from `base` towards 0 along a cosine. It does so in
    `restarts` + 1 equal cycles (Loshchilov and Hutter 2017, equation 5).
    """
    if step < warmup:
        return base * (step + 1) / (warmup + 1)
    cycle = max(steps - warmup, 1) / (restarts + 1)
    part = (step - warmup) / cycle % 1
    return base * (1 + math.cos(math.pi * part)) / 2
