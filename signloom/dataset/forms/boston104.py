"""RWTH-BOSTON-104 hand positions: glosses with their frames, signers, and one table of positions.

`dataset.table` is the folder of the three annotation files, or one of them; `dataset.videos` is the folder of
hands_condensed.csv, whose rows are the clips.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from signloom.dataset.forms.tables import need, read_table
from signloom.dataset.forms.texts import text_numbers
from signloom.errors import SignloomError

FILES = ["train_words.csv", "test_words.csv", "speaker.csv"]
POSITIONS = "hands_condensed.csv"


def read_boston104(files: list[Path], videos: Path) -> pd.DataFrame:
    """`video,speaker,word,startframe,endframe`, a line a gloss: the gloss line is in the order of its frames.

    Raises SignloomError where a frame is no number, a video is in both splits, or the files name two signers.
    """
    *word_files, speaker_file = files
    speakers = _speakers(speaker_file)
    clips: dict[str, dict[str, str]] = {}
    for split, file in zip(("train", "test"), word_files, strict=True):
        for video, words in _words(file).groupby("video", sort=False):
            first = f"{file.name}:{words['row'].iloc[0]}"
            if video in clips:
                raise SignloomError(
                    f"{file}: line {words['row'].iloc[0]}: video {video} is in {clips[video]['row']} too; "
                    "expected it in one split"
                )
            clips[video] = {
                "row": first,
                "video": f"{POSITIONS}#{video}",
                "gloss": " ".join(words.sort_values("startframe", kind="stable")["word"]),
                "signer_id": _signer(file, words, speakers.get(video)),
                "split": split,
            }
    rows = pd.DataFrame(clips.values(), columns=["row", "video", "gloss", "signer_id", "split"])
    return rows.assign(sentence_id=text_numbers(rows["gloss"].tolist()))


def _words(file: Path) -> pd.DataFrame:
    rows = read_table(file)
    need(file, rows, ["video", "speaker", "word", "startframe"])
    for line, frame in zip(rows["row"], rows["startframe"], strict=True):
        if not frame.strip().isdecimal():
            raise SignloomError(f"{file}: line {line}: startframe {frame!r}: expected a whole number")
    return rows.assign(
        video=rows["video"].str.strip(),
        word=rows["word"].str.strip(),
        startframe=rows["startframe"].astype(int),
    )


def _speakers(file: Path) -> dict[str, str]:
    rows = read_table(file)
    need(file, rows, ["video", "speaker"])
    return dict(zip(rows["video"].str.strip(), rows["speaker"].str.strip(), strict=True))


def _signer(file: Path, words: pd.DataFrame, known: str | None) -> str:
    """Return the signer of the file speaker.csv, which the lines of the video must name too."""
    for line, video, speaker in zip(words["row"], words["video"], words["speaker"].str.strip(), strict=True):
        if speaker != known:
            expected = f"{known!r}, as in speaker.csv" if known else "the video in speaker.csv"
            raise SignloomError(
                f"{file}: line {line}: video {video} has speaker {speaker!r}; expected {expected}"
            )
    return str(known)
