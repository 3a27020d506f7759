"""Tables of fairseq for sign languages: tab-separated rows that cut files of features, one table a split.

`dataset.table` is one .tsv file or a folder of them. Offset and length count rows, so `dataset.frame_rate`
turns them into seconds.
"""

import re
from pathlib import Path

import pandas as pd

from signloom.dataset.consent import named
from signloom.dataset.forms.table_files import read_text
from signloom.dataset.forms.texts import one_form, seconds_text, sentence_ids
from signloom.dataset.forms.video_files import on_disk
from signloom.errors import SignloomError
from signloom.gate import is_there

NEEDED = ["id", "signs_file", "signs_offset", "signs_length", "translation"]
_OPTIONAL = {"glosses": "gloss", "gloss": "gloss", "signer_id": "signer_id", "topic": "category"}
_CONSENT = ("consent", "until")
_SPLITS = {"train": "train", "val": "val", "valid": "val", "dev": "val", "test": "test"}


def read_fairseq(files: list[Path], videos: Path, frame_rate: float | None) -> pd.DataFrame:
    """Read `id, signs_file, signs_offset, signs_length, translation` and, if there are, glosses and signers.

    A table's split is the word train, val, valid, dev or test in its name. Raises SignloomError if the rate
    is not known, or an offset or length is no whole number.
    """
    if frame_rate is None:
        raise SignloomError(
            "dataset.frame_rate: importer fairseq cuts files by numbers of rows; set the rows a second"
        )
    found = pd.concat([_rows(file, videos, frame_rate) for file in files], ignore_index=True)
    if "consent" in found:  # a table without the column says nothing, which allows everything
        found["consent"] = found["consent"].fillna("all")
    found = found.fillna("")  # a column that only some of the tables have
    texts = [one_form(text) for text in found["sentence"]]
    return found.assign(sentence_id=sentence_ids([""] * len(texts), texts))


def _rows(file: Path, videos: Path, frame_rate: float) -> pd.DataFrame:
    rows = named(read_text(file, "\t", NEEDED, quoted=False))
    cuts = [
        _cut(f"{file}: line {line}", offset, length, frame_rate)
        for line, offset, length in zip(rows["row"], rows["signs_offset"], rows["signs_length"], strict=True)
    ]
    words = re.split(r"[^a-z]+", file.stem.lower())
    return pd.DataFrame(
        {
            "row": [f"{file.name}:{line}" for line in rows["row"]],
            "video": [_place(videos, name.strip()) for name in rows["signs_file"]],
            "start_s": [start for start, _ in cuts],
            "end_s": [end for _, end in cuts],
            "sentence": rows["translation"],
            "split": next((_SPLITS[word] for word in words if word in _SPLITS), ""),
            **{ours: rows[theirs] for theirs, ours in _OPTIONAL.items() if theirs in rows},
            **{name: rows[name] for name in _CONSENT if name in rows},
        }
    )


def _cut(place: str, offset: str, length: str, frame_rate: float) -> tuple[str, str]:
    """Return start and end in seconds; a start at the first row is ""."""
    for name, text in (("signs_offset", offset), ("signs_length", length)):
        if not text.strip().isdecimal():
            raise SignloomError(f"{place}: {name} {text!r}: expected a whole number")
    first, count = int(offset), int(length)
    return seconds_text(first / frame_rate) if first else "", seconds_text((first + count) / frame_rate)


def _place(videos: Path, name: str) -> str:
    """Return the longest end of the path `name` that is below `videos`; it may come from another machine."""
    parts = [part for part in re.split(r"[/\\]", name) if part]
    ends = ["/".join(parts[first:]) for first in range(len(parts))]
    there = (end for end in ends if is_there(videos / on_disk(videos, end)))
    return next(there, "/".join(parts[-2:]))
