"""The progress of a training: its history, its best checkpoint, and the state from which it resumes."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from signloom.errors import SignloomError
from signloom.files import atomic, write_csv, write_text
from signloom.models import checkpoints
from signloom.training.optimiser import Optimiser

Row = dict[str, float | int | None]

# figures of which the summary names the best
_HIGHER = {"val_inst_top1", "val_pos_sim", "val_bleu4"}
_LOWER = {"train_loss", "val_loss", "val_neg_sim", "val_wer"}


@dataclass(frozen=True)
class TrainedFiles:
    """The files that a training writes: checkpoints of the best and of the last epoch, and the history."""

    best: Path
    latest: Path
    history: Path  # CSV
    metrics: Path  # one JSON line per epoch


class Progress:
    """The epochs done so far; the state is saved under `scratch` after each epoch.

    `origin` is added to each checkpoint beside weights, epoch and metrics: plain data and tensors. The best
    epoch has the highest `merit`.
    """

    def __init__(
        self,
        scratch: Path,
        origin: dict[str, Any],
        optimiser: Optimiser,
        merit: Callable[[Row], tuple[float, ...]],
    ) -> None:
        self.scratch, self.origin, self.merit = scratch, origin, merit
        self.model, self.optimiser = optimiser.model, optimiser
        self.rows: list[Row] = []
        self.best: Row = {}

    def resume(self) -> int:
        """Load the state of an interrupted run, if there is one; return how many epochs are done.

        A damaged state counts as none. One that cannot be read is an error: it may be whole.
        """
        path = self.scratch / "state.pt"
        if path.exists():
            try:
                state = checkpoints.load(path)
            except SignloomError as error:
                print(f"warning: {error}; training starts again from the first epoch", file=sys.stderr)
                return 0
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state)
            self.rows, self.best = state["rows"], state["best"]
            print(f"resuming after epoch {len(self.rows)}")
        return len(self.rows)

    def add(self, figures: Row) -> bool:
        """Record an epoch, with six significant digits, and save the state; return whether it is the best."""
        row = {
            name: float(f"{value:.6g}") if isinstance(value, float) else value
            for name, value in figures.items()
        }
        self.rows.append(row)
        best = not self.best or self.merit(row) > self.merit(self.best)
        if best:
            self.best = row
            checkpoints.save(self._best_file(), self._checkpoint(row))
        # the state names its best file, so the two match even if the process is killed between the writes
        progress = {"model": self.model.state_dict(), "rows": self.rows, "best": self.best}
        checkpoints.save(self.scratch / "state.pt", self.optimiser.state_dict() | progress)
        for old in self.scratch.glob("best-*.pt"):
            if old != self._best_file():
                old.unlink()
        return best

    def finish(self, files: TrainedFiles, columns: Sequence[str]) -> None:
        """Write `files`, the history with `columns`; delete the saved state and print a summary."""
        with atomic(files.best) as part:
            shutil.copyfile(self._best_file(), part)
        checkpoints.save(files.latest, self._checkpoint(self.rows[-1]))
        write_csv(files.history, pd.DataFrame(self.rows).reindex(columns=columns))
        write_text(files.metrics, "".join(json.dumps(row, allow_nan=False) + "\n" for row in self.rows))
        # delete the state first: without it, a leftover best file does no harm
        (self.scratch / "state.pt").unlink()
        self._best_file().unlink()
        print(summary(self.rows, self.best, self.model, [*astuple(files)]))

    def _checkpoint(self, row: Row) -> dict[str, Any]:
        return {**self.origin, "model": self.model.state_dict(), "epoch": row["epoch"], "metrics": row}

    def _best_file(self) -> Path:
        return self.scratch / f"best-{self.best['epoch']}.pt"


def console_line(row: Row, epochs: int, seconds: float, best: bool, columns: Sequence[str]) -> str:
    """Return one line about an epoch with the figures of `columns`; a star marks the best so far."""
    figures = [
        f"{name.removeprefix('val_')} {value:.4g}" for name in columns if (value := row.get(name)) is not None
    ]
    return f"epoch {row['epoch']}/{epochs}  {'  '.join(figures)}  {seconds:.1f} s{' *' if best else ''}"


def summary(rows: Sequence[Row], best: Row, model: nn.Module, files: Sequence[Path]) -> str:
    """Return a summary of a training: network size, best value and epoch of each metric, files written."""
    weights = list(model.parameters())
    count = sum(tensor.numel() for tensor in weights)
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights)
    lines = [f"{count:,} parameters, {size / 1e6:.1f} MB; best epoch {best['epoch']}"]
    for name in sorted(_HIGHER | _LOWER):
        known = [(value, row["epoch"]) for row in rows if (value := row.get(name)) is not None]
        if known:
            pick = max if name in _HIGHER else min
            value, epoch = pick(known, key=lambda pair: pair[0])
            lines.append(f"  {name}: best {value:.4g} in epoch {epoch}")
    return "\n".join(lines + [f"  wrote {path}" for path in files])
