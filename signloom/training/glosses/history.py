"""The record of a gloss training: its columns, which epoch is best, and when CTC has collapsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports torch, which a page does not need
    from signloom.training.progress import Row

# good models predict <blank> on many frames too; CTC has collapsed above this share for so many epochs
COLLAPSE_RATIO, _COLLAPSE_EPOCHS = 0.95, 3
COLUMNS = [
    "epoch",
    "train_loss",
    "ctc_loss",
    "ce_loss",
    "val_loss",
    "val_wer",
    "train_blank_ratio",
    "val_blank_ratio",
    "lr",
]


def merit(row: Row) -> tuple[float, ...]:
    """Return the sort key that selects the best epoch: the lowest validation WER, then the lowest loss.

    Without validation clips the key is the epoch number, so that the last epoch is the best.
    """
    wer, loss = row["val_wer"], row["val_loss"]
    return (float(row["epoch"] or 0),) if wer is None or loss is None else (-wer, -loss)


def collapse_warning(rows: Sequence[Row], alone: bool) -> str | None:
    """Return a warning if a blank ratio has been too high for several epochs, else None.

    The warning is repeated only after the ratio has fallen in between. `alone` means CTC without a decoder.
    """
    count = _COLLAPSE_EPOCHS
    for column, data in (("train_blank_ratio", "training"), ("val_blank_ratio", "validation")):
        high = [(row[column] or 0.0) > COLLAPSE_RATIO for row in rows]
        if len(high) >= count and all(high[-count:]) and not any(high[-count - 1 : -count]):
            advice = "lower train_gloss.max_frames (fewer frames per gloss), train longer, or change the lr"
            if alone:
                advice += "; in a hybrid variant the attention decoder keeps the encoder learning"
            return (
                f"warning: CTC collapse: for {count} epochs CTC has predicted <blank> on more than "
                f"{COLLAPSE_RATIO:.0%} of the {data} frames ({rows[-1][column]:.1%} now). If WER no longer "
                f"falls, {advice}"
            )
    return None
