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
_NEARLY = 0.9  # of the clips: so many single glosses are most likely a corpus of single signs
_WORDS = 3  # the most in the name of a sign


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
    if not isolated and task == "signs" and (rows["sentence"] != "").any() and not odd_signs(rows):
        return (
            "sign2text.task is signs, and not every text is one gloss: whole sentences would be answered as "
            "if each were a sign; set it to sentences"
        )
    return ""


def odd_signs(rows: pd.DataFrame) -> str:
    """Return what keeps `rows` from being isolated signs, or makes several of them one, in a line, or "".

    Without it, a dictionary is taken for sentences because of one name, or its variants are one class.
    """
    signed = rows[rows["sentence"] != ""]
    if are_isolated(rows):
        glosses = signed.groupby("sentence_id", sort=False)["gloss"].unique()
        several = glosses[glosses.str.len() > 1]
        if several.empty:
            return ""
        text = signed["sentence"][signed["sentence_id"] == several.index[0]].iloc[0]
        return (
            f"{sum(map(len, several))} glosses share their sentence with others, first "
            f"{' and '.join(several.iloc[0][:2])} with {text!r}, and count as one sign; to tell them apart, "
            "give each gloss a sentence of its own, or leave the column `sentence` out"
        )
    if (signed["gloss"] == "").all():
        words = signed["sentence"].str.split().str.len() == 1
        if not len(signed) or words.mean() < _NEARLY:
            return ""
        return (
            f"no clip has a gloss, and the sentences of {words.sum()} of {len(signed)} signed clips are one "
            "word; if each clip shows one sign, call the column `gloss`, write THANK_YOU for THANK YOU, and "
            "lay your preset over isolated_signs"
        )
    single = signed["gloss"].str.split().str.len() == 1
    short = signed["sentence"].str.split().str.len() <= _WORDS
    if (single & short).mean() < _NEARLY:
        return ""
    if not single.all():
        gloss, text = signed.loc[~single, ["gloss", "sentence"]].iloc[0]
        name = gloss or text
        return (
            f"{single.sum()} of {len(signed)} signed clips have one gloss, and {name!r} is not one; if each "
            f"clip shows one sign, write {'_'.join(name.split())} into the column `gloss`, and lay your "
            "preset over isolated_signs"
        )
    texts = signed.groupby("gloss", sort=False)["sentence"].unique()
    gloss, (one, other, *_) = next(iter(texts[texts.str.len() > 1].items()))
    return (
        f"every clip has one gloss, and {gloss} has the sentences {one!r} and {other!r}, which are two signs "
        "to a model; if each clip shows one sign, give each gloss one sentence, and lay your preset over "
        "isolated_signs"
    )


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
