"""The table of sentences and their variations, gathered from the clips."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from signloom.errors import SignloomError
from signloom.files import read_csv


def gather_texts(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return `sentence_id, variation, text`, sorted; variation 0 is the sentence, 1 and up its variations.

    `metadata` needs `clip_id, sentence_id, sentence, text_variations` (a JSON list). Unsigned clips
    (sentence_id below 0) have no text and are left out. Raises SignloomError if two clips disagree about a
    sentence, a signed clip has no sentence, or `text_variations` is not a list of sentences.
    """
    texts: dict[int, list[str]] = {}
    first_clip: dict[int, str] = {}
    columns = ["sentence_id", "clip_id", "sentence", "text_variations"]
    signed = metadata[metadata["sentence_id"] >= 0].sort_values("clip_id")
    for sentence_id, clip_id, sentence, variations in signed[columns].itertuples(index=False):
        if not isinstance(sentence, str) or not sentence.strip():
            raise SignloomError(
                f"clip {clip_id} has sentence_id {sentence_id} but no sentence; correct its row in the table"
            )
        known = texts.setdefault(int(sentence_id), [sentence])
        first_clip.setdefault(int(sentence_id), clip_id)
        if known[0] != sentence:
            raise SignloomError(
                f"sentence_id {sentence_id} means {known[0]!r} in clip {first_clip[int(sentence_id)]} but "
                f"{sentence!r} in clip {clip_id}; give each sentence its own id"
            )
        known.extend(text for text in _variations(variations, clip_id) if text not in known)
    rows = [(key, number, text) for key in sorted(texts) for number, text in enumerate(texts[key])]
    return pd.DataFrame(rows, columns=["sentence_id", "variation", "text"]).astype(
        {"sentence_id": "int64", "variation": "int64", "text": "str"}
    )


def _variations(given: object, clip_id: str) -> list[str]:
    try:
        parsed = json.loads(given) if isinstance(given, str) and given else []
    except json.JSONDecodeError as error:
        raise SignloomError(f"clip {clip_id}: text_variations is not valid JSON: {error}") from error
    if not isinstance(parsed, list) or not all(isinstance(text, str) and text.strip() for text in parsed):
        raise SignloomError(
            f"clip {clip_id}: text_variations must be a JSON list of sentences, not {given!r}"
        )
    return parsed


def warn_of_cut(lengths: Sequence[int], max_tokens: int) -> None:
    """Warn if texts of training with these numbers of tokens are longer than `max_tokens`, and so are cut."""
    cut = sum(length > max_tokens for length in lengths)
    if cut:
        print(
            f"warning: {cut} of {len(lengths)} training texts are longer than text.max_tokens {max_tokens} "
            f"(the longest has {max(lengths)}) and are cut off; raise text.max_tokens",
            file=sys.stderr,
        )


def warn_of_lost(lost: Sequence[tuple[str, str]], texts: int) -> None:
    """Warn of the `lost` ones of so many `texts` of training, each with what its tokens give back."""
    if lost:
        text, back = lost[0]
        print(
            f"warning: text.tokenizer encoder cannot write {len(lost)} of {texts} training texts: {text!r} "
            f"becomes {back!r}, and decoded sentences are spelled like that; set text.tokenizer to trained",
            file=sys.stderr,
        )


def read_splits(path: Path) -> pd.DataFrame:
    """Return splits.csv (`clip_id, split, sentence_id, seen`), sorted by clip."""
    splits = read_csv(path, dtype={"clip_id": str, "split": str}, keep_default_na=False)
    return splits.sort_values("clip_id").reset_index(drop=True)


def training_clips(splits: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the training clips in which a sentence is signed."""
    return splits[(splits["split"] == "train") & (splits["sentence_id"] >= 0)]


def read_training_clips(path: Path) -> pd.DataFrame:
    """Return `training_clips` of splits.csv; raises SignloomError if there are none."""
    training = training_clips(read_splits(path))
    if training.empty:
        raise SignloomError(
            f"{path}: the training split has no signed clip; check the splits section and rejects.csv"
        )
    return training
