"""TensorBoard events of a training."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from signloom.training.history import Row


class EventLog:
    """Write the scalars of every epoch to `folder`; a resumed run drops those after epoch `done`."""

    def __init__(self, folder: Path, done: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def add(self, row: Row) -> None:
        """Record the figures of an epoch."""
        for name, value in row.items():
            if name != "epoch" and value is not None:
                self._writer.add_scalar(name, value, row["epoch"])

    def close(self) -> None:
        """Write the remaining events."""
        self._writer.close()
