"""The record of a sign2text training: its columns, and which epoch is best."""

from signloom.training.progress import Row

COLUMNS = [
    "epoch",
    "train_loss",
    "ce_loss",
    "gloss_loss",
    "clip_loss",
    "class_loss",
    "supcon_loss",
    "val_inst_top1",
    "val_pos_sim",
    "val_neg_sim",
    "val_wer",
    "val_bleu4",
    "lr",
]
# the columns of a console line, which also shows the validation loss
CONSOLE = [*COLUMNS[1:7], "val_loss", *COLUMNS[7:]]


def merit(row: Row) -> tuple[float, float]:
    """Return the sort key that selects the best epoch: the highest validation top-1, then the lowest loss.

    The training loss stands in for a validation loss that is not known.
    """
    top1, loss = row.get("val_inst_top1"), row.get("val_loss")
    loss = row["train_loss"] if loss is None else loss
    return (-1.0 if top1 is None else top1), -(loss or 0.0)
