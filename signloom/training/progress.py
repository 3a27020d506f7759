"""The progress of a training: its history, its best checkpoint, and the state from which it resumes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from signloom.files import atomic
from signloom.models import checkpoints
from signloom.training.history import COLUMNS, Row, rounded, summary, write_history


@dataclass(frozen=True)
class TrainedFiles:
    """The files that a training writes: checkpoints of the best and of the last epoch, and the history."""

    best: Path
    latest: Path
    history: Path  # CSV
    metrics: Path  # one JSON line per epoch


def merit(row: Row) -> tuple[float, float]:
    """Return the sort key that selects the best epoch: the highest validation top-1, then the lowest loss.

    Without validation clips, the lowest training loss decides.
    """
    top1, loss = row.get("val_inst_top1"), row.get("val_loss", row["train_loss"])
    return (-1.0 if top1 is None else top1), -(loss or 0.0)


class Stateful(Protocol):
    """An object with a state to save, such as an optimiser or a gradient scaler."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state that the object needs to resume."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Restore a state from `state_dict`."""


class Progress:
    """The epochs done so far; the state is saved under `scratch` after each epoch.

    `origin` is added to each checkpoint beside weights, epoch and metrics: plain data and tensors. The best
    epoch has the highest `merit`. `columns` are those of history.csv.
    """

    def __init__(
        self,
        scratch: Path,
        origin: dict[str, Any],
        model: nn.Module,
        merit: Callable[[Row], tuple[float, ...]] = merit,
        columns: Sequence[str] = COLUMNS,
        **others: Stateful,
    ) -> None:
        self.scratch, self.origin = scratch, origin
        self.merit, self.columns = merit, columns
        self.model, self.others = model, others
        self.rows: list[Row] = []
        self.best: Row = {}

    def resume(self) -> int:
        """Load the state of an interrupted run, if there is one; return how many epochs are done."""
        path = self.scratch / "state.pt"
        if path.exists():
            state = checkpoints.load(path)
            self.model.load_state_dict(state["model"])
            for name, other in self.others.items():
                other.load_state_dict(state[name])
            self.rows, self.best = state["rows"], state["best"]
            print(f"resuming after epoch {len(self.rows)}")
        return len(self.rows)

    def add(self, figures: Row) -> bool:
        """Record the figures of an epoch and save the state; return whether it is the best so far."""
        row = rounded(figures)
        self.rows.append(row)
        best = not self.best or self.merit(row) > self.merit(self.best)
        if best:
            self.best = row
            checkpoints.save(self._best_file(), self._checkpoint(row))
        state = {name: other.state_dict() for name, other in self.others.items()}
        # the state names its best file, so the two match even if the process is killed between the writes
        progress = {"model": self.model.state_dict(), "rows": self.rows, "best": self.best}
        checkpoints.save(self.scratch / "state.pt", state | progress)
        for old in self.scratch.glob("best-*.pt"):
            if old != self._best_file():
                old.unlink()
        return best

    def finish(self, files: TrainedFiles) -> None:
        """Write `files`, delete the saved state and print a summary."""
        with atomic(files.best) as part:
            shutil.copyfile(self._best_file(), part)
        checkpoints.save(files.latest, self._checkpoint(self.rows[-1]))
        write_history(files.history, files.metrics, self.rows, self.columns)
        # delete the state first: without it, a leftover best file does no harm
        (self.scratch / "state.pt").unlink()
        self._best_file().unlink()
        print(summary(self.rows, self.best, self.model, [*astuple(files)]))

    def _checkpoint(self, row: Row) -> dict[str, Any]:
        return {**self.origin, "model": self.model.state_dict(), "epoch": row["epoch"], "metrics": row}

    def _best_file(self) -> Path:
        return self.scratch / f"best-{self.best['epoch']}.pt"
