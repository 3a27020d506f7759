"""RWTH-BOSTON-104 hand positions: glosses with frame numbers, signers, and one table of positions.

`dataset.table` is the folder of the three annotation files, or one of them; `dataset.videos` is the folder of
hands_condensed.csv, whose rows are the clips.
"""

import json
from pathlib import Path

import pandas as pd

from signloom.dataset.forms.table_files import read_table
from signloom.dataset.forms.texts import text_numbers
from signloom.errors import SignloomError

FILES = ["train_words.csv", "test_words.csv", "speaker.csv"]
POSITIONS = "hands_condensed.csv"
FPS = 30  # frames a second of all four tables


def read_boston104(files: list[Path], videos: Path) -> pd.DataFrame:
    """Read `video,speaker,word,startframe,endframe`, one line per gloss, and order the glosses by frame.

    Frames count from 0 at the clip's start, and `endframe` belongs to the gloss: `gloss_times` are
    startframe / 30 and (endframe + 1) / 30 seconds.
    Raises SignloomError if a frame is not a number, a gloss ends before it starts, a video is in both splits,
    or the files name different signers for a video.
    """
    *word_files, speaker_file = files
    known = read_table(speaker_file, ["video", "speaker"])
    speakers = dict(zip(known["video"].str.strip(), known["speaker"].str.strip(), strict=True))
    clips: dict[str, dict[str, str]] = {}
    for split, file in zip(("train", "test"), word_files, strict=True):
        for video, words in _words(file).groupby("video", sort=False):
            first = f"{file.name}:{words['row'].iloc[0]}"
            if video in clips:
                raise SignloomError(
                    f"{file}: line {words['row'].iloc[0]}: video {video} is in {clips[video]['row']} too; "
                    "expected it in one split"
                )
            words = words.sort_values("startframe", kind="stable")
            clips[video] = {
                "row": first,
                "video": f"{POSITIONS}#{video}",
                "gloss": " ".join(words["word"]),
                "gloss_times": _times(words),
                "signer_id": _signer(file, words, speakers.get(video)),
                "split": split,
            }
    rows = pd.DataFrame(
        clips.values(), columns=["row", "video", "gloss", "gloss_times", "signer_id", "split"]
    )
    return rows.assign(sentence_id=text_numbers(rows["gloss"].tolist()))


def _words(file: Path) -> pd.DataFrame:
    rows = read_table(file, ["video", "speaker", "word", "startframe", "endframe"])
    for line, *frames in zip(rows["row"], rows["startframe"], rows["endframe"], strict=True):
        for name, frame in zip(("startframe", "endframe"), frames, strict=True):
            if not frame.strip().isdecimal():
                raise SignloomError(f"{file}: line {line}: {name} {frame!r}: expected a whole number")
        if int(frames[1]) < int(frames[0]):
            raise SignloomError(f"{file}: line {line}: endframe {frames[1]} is before startframe {frames[0]}")
    return rows.assign(
        video=rows["video"].str.strip(),
        word=rows["word"].str.strip(),
        startframe=rows["startframe"].astype(int),
        endframe=rows["endframe"].astype(int),
    )


def _times(words: pd.DataFrame) -> str:
    """Return [start, end] of every line of `words` in seconds, end exclusive, as a JSON list."""
    frames = zip(words["startframe"], words["endframe"], strict=True)
    return json.dumps([[round(start / FPS, 6), round((end + 1) / FPS, 6)] for start, end in frames])


def _signer(file: Path, words: pd.DataFrame, known: str | None) -> str:
    """Return the signer `known` from speaker.csv; raises SignloomError if a line names another."""
    for line, video, speaker in zip(words["row"], words["video"], words["speaker"].str.strip(), strict=True):
        if speaker != known:
            expected = f"{known!r}, as in speaker.csv" if known else "the video in speaker.csv"
            raise SignloomError(
                f"{file}: line {line}: video {video} has speaker {speaker!r}; expected {expected}"
            )
    return str(known)
