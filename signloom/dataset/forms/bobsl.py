"""BOBSL: subtitles with spotted glosses.

`dataset.table` is the folder of subset2episode.json, subtitles/<kind>/<id>.vtt and, if there are any,
spottings/*.json; `dataset.videos` holds <id>.mp4.
"""

from pathlib import Path
from typing import Self

import pandas as pd
from pydantic import TypeAdapter, model_validator

from signloom.dataset.forms.json_files import NUMBERS_AS_TEXT, Entry, read_json
from signloom.dataset.forms.subtitles import cues
from signloom.dataset.forms.texts import one_gloss, text_numbers
from signloom.errors import SignloomError

EPISODES = "subset2episode.json"
_SAME_SIGN_S = 1.0  # spottings of one gloss closer than this are one sign


class _Spots(Entry):
    names: list[str]
    global_times: list[float]

    @model_validator(mode="after")
    def _one_time_each(self) -> Self:
        if len(self.names) != len(self.global_times):
            raise ValueError("expected as many `global_times` as `names`")
        return self


_EPISODES = TypeAdapter(dict[str, list[str]], config=NUMBERS_AS_TEXT)
_SPOTTINGS = TypeAdapter(dict[str, dict[str, _Spots]])


def bobsl_files(folder: Path) -> list[Path]:
    """Return the list of episodes, then subtitles and spottings; raises SignloomError if there is no list."""
    listed = sorted(folder.rglob(EPISODES))
    if not listed:
        raise SignloomError(f"dataset.table: {folder} holds no {EPISODES}")
    return [listed[0], *sorted(folder.glob("subtitles/*/*.vtt")), *sorted(folder.glob("spottings/*.json"))]


def read_bobsl(files: list[Path], videos: Path) -> pd.DataFrame:
    """Return a row for every subtitle of `bobsl_files`, with the glosses spotted in it, in order of time.

    A spotting is one moment, so glosses have no start and end. An episode that has several subtitle files
    takes the last folder by name, which is `manually-aligned` in the corpus.
    Raises SignloomError if a file has another structure.
    """
    episodes, *others = files
    splits = _splits(episodes)
    spotted = _spottings([file for file in others if file.suffix == ".json"])
    subtitles = {file.stem: file for file in others if file.suffix == ".vtt"}
    rows = []
    for episode, split in splits.items():
        if episode not in subtitles:
            continue  # the corpus publishes no subtitles of some episodes
        for number, start, end, text in cues(subtitles[episode]):
            times = [spot for spot in spotted.get(episode, []) if float(start) <= spot[0] < float(end)]
            gloss = " ".join(name for _, name in times)
            row = f"{subtitles[episode].name}:{number}"
            rows.append([row, f"{episode}.mp4", start, end, text, gloss, split])
    table = pd.DataFrame(rows, columns=["row", "video", "start_s", "end_s", "sentence", "gloss", "split"])
    return table.assign(sentence_id=text_numbers(table["sentence"].tolist()))


def _splits(file: Path) -> dict[str, str]:
    """Return the split of every episode; raises SignloomError if one is in two."""
    found: dict[str, str] = {}
    for name, episodes in read_json(file, _EPISODES).items():
        split = "test" if name.endswith("test") else name
        for episode in episodes:
            if found.setdefault(episode, split) != split:
                raise SignloomError(
                    f"{file}: episode {episode} is in {found[episode]} and in {split}; expected one split"
                )
    return found


def _spottings(files: list[Path]) -> dict[str, list[tuple[float, str]]]:
    """Return time and gloss of the spottings of every episode, sorted; the same sign counts once."""
    found: dict[str, list[tuple[float, str]]] = {}
    for file in files:
        for glosses in read_json(file, _SPOTTINGS).values():
            for gloss, spots in glosses.items():
                for episode, time in zip(spots.names, spots.global_times, strict=True):
                    found.setdefault(Path(episode).stem, []).append((time, one_gloss(gloss)))
    return {episode: _once(sorted(spots)) for episode, spots in found.items()}


def _once(spots: list[tuple[float, str]]) -> list[tuple[float, str]]:
    kept: list[tuple[float, str]] = []
    last: dict[str, float] = {}
    for time, gloss in spots:
        if gloss not in last or time - last[gloss] >= _SAME_SIGN_S:
            kept.append((time, gloss))
            last[gloss] = time
    return kept
