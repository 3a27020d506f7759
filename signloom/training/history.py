"""The record of a training: a table, a JSON line and a console line per epoch, and a summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from torch import nn

from signloom.files import write_csv, write_text

Row = dict[str, float | int | None]

COLUMNS = [
    "epoch",
    "train_loss",
    "ce_loss",
    "clip_loss",
    "supcon_loss",
    "val_inst_top1",
    "val_pos_sim",
    "val_neg_sim",
    "val_wer",
    "val_bleu4",
    "lr",
]
# the columns of a console line, which also shows the validation loss
CONSOLE = [*COLUMNS[1:5], "val_loss", *COLUMNS[5:]]
_HIGHER = {"val_inst_top1", "val_pos_sim", "val_bleu4"}
_LOWER = {"train_loss", "val_loss", "val_neg_sim", "val_wer"}


def rounded(row: Mapping[str, float | int | None]) -> Row:
    """Return `row` with floats rounded to six significant digits."""
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in row.items()}


def write_history(csv: Path, jsonl: Path, rows: Sequence[Row], columns: Sequence[str] = COLUMNS) -> None:
    """Write history.csv and metrics.jsonl; figures that were not computed are empty or null."""
    write_csv(csv, pd.DataFrame(rows).reindex(columns=columns))
    write_text(jsonl, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def console_line(row: Row, epochs: int, seconds: float, best: bool, columns: Sequence[str] = CONSOLE) -> str:
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
