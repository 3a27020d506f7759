"""The optimiser of both families, and its learning rate as a function of the step."""

import math
import sys
from typing import Any

import torch
from torch import Tensor, nn

_BETAS = (0.9, 0.98)  # those of Vaswani et al. 2017, section 5.3, which Transformers are trained with since


class Optimiser:
    """AdamW with clipped gradients; in fp16 it scales the losses, so that small gradients do not vanish."""

    def __init__(
        self, model: nn.Module, lr: float, weight_decay: float, precision: str, largest_norm: float
    ) -> None:
        """Train the weights of `model`, which is on its device; gradients get at most norm `largest_norm`."""
        self.model, self.largest_norm = model, largest_norm
        weights = list(model.parameters())
        self.adamw = torch.optim.AdamW(weights, lr, _BETAS, weight_decay=weight_decay, fused=True)
        self.scaler = torch.amp.GradScaler(weights[0].device.type, enabled=precision == "fp16")

    def add(self, loss: Tensor) -> None:
        """Add the gradient of `loss` to those of the next step."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self, lr: float) -> None:
        """Take one step at learning rate `lr`."""
        for group in self.adamw.param_groups:
            group["lr"] = lr
        self.scaler.unscale_(self.adamw)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.largest_norm)
        self.scaler.step(self.adamw)
        self.scaler.update()
        self.adamw.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return what the optimiser needs to resume; the weights of the model are not in it."""
        return {"optimiser": self.adamw.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state from `state_dict`."""
        self.adamw.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])


def warn_of_warmup(section: str, warmup: float, epochs: int, lr: str) -> None:
    """Warn of a training that ends before the learning rate has reached the value of the parameter `lr`."""
    if warmup >= epochs:
        print(
            f"warning: {section}.warmup_epochs: {warmup:g} is not below {section}.epochs {epochs}, so the "
            f"learning rate never reaches {lr}",
            file=sys.stderr,
        )


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
