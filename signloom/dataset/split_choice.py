"""Choose how the clips of a table are divided, so that training, validation and test all have some."""

import contextlib
import io
from collections.abc import Sequence

import pandas as pd

from signloom.dataset.splits import check_table, make_splits
from signloom.errors import SignloomError
from signloom.params.splits import SplitsParams

SPLITS = ("train", "val", "test")
_FEWEST_SIGNERS = 5


def clips_of_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return importer's rows as clips with `clip_id, sentence_id, signer_id, split`; -1 is unsigned."""
    numbers = pd.to_numeric(rows["sentence_id"], errors="coerce").fillna(-1).astype(int)
    signed = numbers.where((rows["sentence"] != "").to_numpy(), -1)
    return pd.DataFrame(
        {
            "clip_id": [f"{number:08d}" for number in range(len(rows))],
            "sentence_id": signed.to_numpy(),
            "signer_id": rows["signer_id"].str.strip().to_numpy(),
            "split": rows["split"].to_numpy(),
        }
    )


def are_isolated(rows: pd.DataFrame) -> bool:
    """Return whether every signed row of `rows` is one gloss, and its sentence no more than that."""
    signed = rows[rows["sentence"] != ""]
    single = bool(len(signed)) and all(len(line.split()) == 1 for line in signed["gloss"])
    return single and len(set(signed["sentence"])) <= len(set(signed["gloss"]))


def unfit_task(rows: pd.DataFrame, task: str) -> str:
    """Return why the value `task` of sign2text.task does not fit the texts of `rows`, or ""."""
    isolated = are_isolated(rows)
    if isolated and task == "sentences":
        return (
            "every text is one gloss, and sign2text.task is sentences: it would train a sentence decoder, "
            "which has nothing to learn here; set it to signs, or lay your preset over isolated_signs"
        )
    if not isolated and task == "signs" and (rows["sentence"] != "").any():
        return (
            "sign2text.task is signs, and not every text is one gloss: whole sentences would be answered as "
            "if each were a sign; set it to sentences"
        )
    return ""


def quiet_splits(clips: pd.DataFrame, params: SplitsParams) -> pd.DataFrame:
    """Return what `make_splits` returns, without its warnings."""
    with contextlib.redirect_stderr(io.StringIO()):
        return make_splits(clips, params)


def choose_mode(clips: pd.DataFrame, params: SplitsParams, isolated: bool) -> tuple[str, str]:
    """Return the value of splits.mode for `clips`, and why.

    Raises SignloomError if no mode gives clips to training, validation and test.
    """
    signed = clips[clips["sentence_id"] >= 0]
    signers = signed["signer_id"].nunique()
    drawn = [
        ("clip", f"the same {'signs' if isolated else 'sentences'} in all parts, other clips"),
        ("sentence", "sentences of the test are not in training"),
    ]
    options, unusable = [], ""
    if (clips["split"] != "").any():
        own = params.model_copy(update={"mode": "predefined"})
        # without validation clips the training loss chooses the best epoch
        unusable = _problem(clips, own, ("train", "test"))
        if not unusable:
            return "predefined", "the corpus has its own"
        unusable = f"; the corpus's own cannot be used: {unusable}"
    if signers >= _FEWEST_SIGNERS:
        options.append(("signer", f"{signers} signers, so the test is of people whom training never saw"))
    options += drawn if isolated else reversed(drawn)
    for mode, why in options:
        if not _problem(clips, params.model_copy(update={"mode": mode}), SPLITS):
            return mode, why + unusable
    raise SignloomError(
        f"{len(signed)} clips of {signed['sentence_id'].nunique()} signs or sentences are too few to train, "
        "validate and test; record more clips of each"
    )


def _problem(clips: pd.DataFrame, params: SplitsParams, needed: Sequence[str]) -> str:
    """Return why a mode does not give signed clips to all splits `needed`, or ""."""
    try:
        check_table(clips, params)
    except SignloomError as error:
        return str(error)
    made = quiet_splits(clips, params)
    missing = set(needed) - set(made["split"][made["sentence_id"] >= 0])
    return f"no clip is in {min(missing)}" if missing else ""
