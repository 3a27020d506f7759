"""ELAN files (.eaf): every annotation of a tier of sentences is a clip, with the glosses of other tiers.

`dataset.table` is one .eaf file or a folder of them at any depth; `dataset.elan` names the tiers. The video
is the linked file, found by its name alone anywhere below `dataset.videos`.
"""

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import NamedTuple
from urllib.parse import unquote

import pandas as pd
from pympi.Elan import Eaf, parse_eaf

from signloom.console import number_of
from signloom.dataset.forms.texts import one_form, one_gloss, seconds_text, text_numbers
from signloom.dataset.forms.video_files import VideoFiles
from signloom.dataset.probe import VIDEO_SUFFIXES
from signloom.errors import SignloomError
from signloom.gate import is_there
from signloom.params.dataset import ElanTiers

_SCHEMA = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"


class Annotation(NamedTuple):
    """One annotation: start and end in seconds, None where the file gives none, and its text."""

    start: float | None
    end: float | None
    text: str
    timed: bool  # whether the file gives these times, and they are not a share of others


def read_elan(files: list[Path], videos: Path, persons: list[ElanTiers], warnings: list[str]) -> pd.DataFrame:
    """Return a row for every sentence of every person; a sentence without text and glosses has a bad id.

    Adds a line to `warnings` for files that lack a tier, glosses outside of sentences, and videos taken in
    place of others.
    Raises SignloomError if no tiers are given, a file cannot be read, no file has one of the sentence
    tiers, or two files annotate one part of a video.
    """
    if not persons:
        raise SignloomError(
            "dataset.elan: name the tiers of each person in view, such as [{sentence: English translation, "
            "gloss: [main gloss, non-dominant hand gloss]}]"
        )
    persons = [_composed(person) for person in persons]
    found_videos = VideoFiles(videos, others=True)
    clips: list[tuple[Path, str, list[str]]] = []
    tiers: dict[Path, list[str]] = {}
    left = {person.sentence: _Left() for person in persons}
    placed: set[tuple[Path, _Gloss]] = set()
    for file in files:
        eaf = parsed(file)
        for person in persons:
            tier = person.sentence
            if tier in eaf.tiers:
                rows = _clips(file, eaf, person, found_videos, left[tier], placed)
                clips += [(file, tier, row) for row in rows]
        tiers[file] = list(eaf.tiers)
    seen = {name for names in tiers.values() for name in names}
    for person in persons:
        if missing := [name for name in (person.sentence, *person.gloss) if name not in seen]:
            names = ", ".join(sorted(seen)) or "no tiers"
            raise SignloomError(f"dataset.elan: no file has the tier {missing[0]!r}; the files have: {names}")
        warnings += _missing_tiers(person, tiers)
    warnings += [line for tier, lost in left.items() for line in lost.lines(tier, placed)]
    _refuse_copies(clips, videos)
    table = pd.DataFrame(
        [row for _, _, row in clips],
        columns=[
            *("row", "video", "start_s", "end_s", "sentence_id", "sentence", "gloss", "gloss_times"),
            "signer_id",
        ],
    )
    numbers = pd.Series(text_numbers(table["sentence_id"].tolist()), table.index, dtype=str)
    table["sentence_id"] = numbers.where(table["sentence_id"] != "", "an annotation without text")
    return table


class _Gloss(NamedTuple):
    """A gloss with start and end in seconds; `timed` is that of its annotation."""

    start: float
    end: float
    text: str
    timed: bool


@dataclass
class _Left:
    """What is left out of the files: glosses in no sentence, and links to videos that are not there."""

    glosses: list[tuple[Path, _Gloss]] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)

    def lines(self, tier: str, placed: set[tuple[Path, _Gloss]]) -> Iterator[str]:
        """Yield a line about each kind that there is, of the sentences in `tier`.

        `placed` are the glosses that a sentence of any person has.
        """
        if lost := [one for one in self.glosses if one not in placed]:
            file, gloss = lost[0]
            count = number_of(len(lost), "gloss lies", "glosses lie")
            yield (
                f"{count} in no annotation of tier {tier!r}, so no clip has them; first {file} at "
                f"{gloss.start:g} s"
            )
        if self.videos:
            count = number_of(len(self.videos), "ELAN file links", "ELAN files link")
            yield f"{count} a video that is not there, and another one is taken; first {self.videos[0]}"


def _refuse_copies(clips: list[tuple[Path, str, list[str]]], videos: Path) -> None:
    """Raise SignloomError if two files annotate one part of a video in one tier and name no two people.

    Each of `clips` is a file, its tier and a row. Annotations of different parts may touch a little.
    """
    spans: dict[tuple[str, str], list[tuple[float, float, Path, str]]] = {}
    for file, tier, (_, video, first, last, text, *_, who) in clips:
        if text and "no time" not in (first, last):
            spans.setdefault((video, tier), []).append((float(first), float(last), file, who))
    for (video, tier), found in spans.items():
        if len({file for _, _, file, _ in found}) == 1 or not is_there(videos / video):
            continue
        found.sort()
        for place, (start, end, file, signer) in enumerate(found, start=1):
            for begun, ended, other, who in found[place:]:
                if begun >= end:
                    break
                much = min(end, ended) - begun > 0.5 * min(end - start, ended - begun)
                if file != other and much and len({signer, who} - {""}) < 2:
                    raise SignloomError(
                        f"{file} and {other} both have the tier {tier!r} of {video} at {begun:g} s; keep one "
                        "of them in dataset.table, and move the other away"
                    )


def _missing_tiers(person: ElanTiers, tiers: dict[Path, list[str]]) -> Iterator[str]:
    """Yield a line about files without the sentences of a person, and one about those without its glosses."""
    here = {file: names for file, names in tiers.items() if person.sentence in names}
    without = [file for file, names in here.items() if person.gloss and not {*person.gloss} & {*names}]
    for files, wanted, lost in (
        ([file for file in tiers if file not in here], [person.sentence], "give no clip"),
        (without, person.gloss, "give no gloss"),
    ):
        if files:
            count = f"{len(files)} of {number_of(len(tiers), 'ELAN file', 'ELAN files')}"
            has = ", ".join(tiers[files[0]]) or "no tier"
            yield (
                f"no tier {' or '.join(map(repr, wanted))} in {count}, which {lost}; "
                f"first {files[0]}, which has: {has}"
            )


def parsed(file: Path) -> Eaf:
    """Return the ELAN file, whose tiers have composed names (NFC); raises SignloomError if it is none."""
    try:
        eaf = Eaf()
        eaf.remove_tier("default")
        eaf.adocument[_SCHEMA] = ""  # pympi deletes it, and a file need not have it
        parse_eaf(str(file), eaf, suppress_version_warning=True)
    except Exception as error:  # pympi raises Exception itself for a file that is no XML
        raise SignloomError(f"{file}: not a readable ELAN file: {error}") from error
    eaf.tiers = {_nfc(name): tier for name, tier in eaf.tiers.items()}
    return eaf


def _composed(person: ElanTiers) -> ElanTiers:
    """Return `person` with composed names of tiers (NFC)."""
    names = {"sentence": _nfc(person.sentence), "gloss": [_nfc(name) for name in person.gloss]}
    return person.model_copy(update=names)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _clips(
    file: Path,
    eaf: Eaf,
    person: ElanTiers,
    videos: VideoFiles,
    left: _Left,
    placed: set[tuple[Path, _Gloss]],
) -> Iterator[list[str]]:
    """Yield the rows of one person in one file; the text of a row stands in place of its number.

    Adds to `left` what is left out, and to `placed` the glosses that a row has.
    """
    video = _video(file, eaf, person.media, videos, left)
    origin = _origin(eaf, video)
    signer = person.signer or eaf.tiers[person.sentence][2].get("PARTICIPANT", "")
    glosses, mine = _glosses(file, eaf, person), set[_Gloss]()
    for number, clip in enumerate(_annotations_of(file, eaf, person.sentence), start=1):
        start, end = (clip.start or 0.0), (clip.end or 0.0)
        # a gloss belongs to the sentence in which its middle lies
        inside = [gloss for gloss in glosses if start <= (gloss.start + gloss.end) / 2 < end]
        mine.update(inside)
        times = [
            [round(max(gloss.start, start) - start, 3), round(min(gloss.end, end) - start, 3)]
            for gloss in inside
        ]
        line = " ".join(gloss.text for gloss in inside)
        text = one_form(clip.text) or line
        yield [
            f"{file.name}:{person.sentence}:{number}",
            video,
            *("no time" if time is None else seconds_text(time + origin) for time in (clip.start, clip.end)),
            text,
            clip.text,
            line,
            json.dumps(times) if times and all(gloss.timed for gloss in inside) else "",
            signer,
        ]
    placed.update((file, gloss) for gloss in mine)
    left.glosses += [(file, gloss) for gloss in glosses if gloss not in mine]


def _glosses(file: Path, eaf: Eaf, person: ElanTiers) -> list[_Gloss]:
    """Return the glosses of a person by their start; what both hands sign at the same time counts once."""
    found: dict[tuple[float, float, str], bool] = {}
    for tier in (name for name in person.gloss if name in eaf.tiers):
        for start, end, text, timed in _annotations_of(file, eaf, tier):
            if start is not None and end is not None and one_form(text):
                key = (start, end, one_gloss(text))
                found[key] = found.get(key, False) or timed
    return [_Gloss(*key, found[key]) for key in sorted(found)]


def _origin(eaf: Eaf, video: str) -> float:
    """Return at which second of the linked file of `video` the time of its annotations begins."""
    stem = _nfc(PureWindowsPath(video).stem)
    for media in eaf.media_descriptors:
        for key in ("RELATIVE_MEDIA_URL", "MEDIA_URL"):
            url = media.get(key) or ""
            if stem in (_nfc(PureWindowsPath(text).stem) for text in (unquote(url), url)):
                return float(media.get("TIME_ORIGIN") or 0) / 1000
    return 0.0


def _video(file: Path, eaf: Eaf, suffix: str, videos: VideoFiles, left: _Left) -> str:
    """Return the linked video whose name ends with `suffix`, or the one called like it or like the file.

    A linked video may have another suffix here, because it was converted. Adds to `left` if another linked
    one is taken than the first.
    """
    urls = [
        media[key]
        for media in eaf.media_descriptors
        for key in ("RELATIVE_MEDIA_URL", "MEDIA_URL")
        if media.get(key)
    ]
    # some programs write `%` as it is
    names = [_nfc(PureWindowsPath(url).name) for url in (*map(unquote, urls), *urls)]
    linked = [name for name in names if name.endswith(_nfc(suffix)) and not name.lower().endswith(".wav")]
    stems = [PureWindowsPath(name).stem for name in linked]
    wanted = [*linked, *stems, f"{file.stem}{suffix}", *([] if suffix else [file.stem])]
    found = next((video for video in (videos.find(name, file) for name in wanted) if video), None)
    first = next((name for name in linked if PureWindowsPath(name).suffix.lower() in VIDEO_SUFFIXES), None)
    taken = _nfc(PureWindowsPath(found).stem) if found else ""
    if first and taken in stems and taken != PureWindowsPath(first).stem:
        left.videos.append(f"{file}: {found} in place of {first}")
    return found or wanted[0]


def _annotations_of(file: Path, eaf: Eaf, tier: str) -> list[Annotation]:
    """Return what `annotations` does; raises SignloomError if one refers to what the file does not have."""
    try:
        return annotations(eaf, tier)
    except KeyError as error:
        raise SignloomError(
            f"{file}: tier {tier!r}: an annotation refers to {error}, which the file does not have; "
            "mend it in ELAN"
        ) from error
    except RecursionError:
        raise SignloomError(f"{file}: tier {tier!r}: annotations refer to each other in a circle") from None


def annotations(eaf: Eaf, tier: str) -> list[Annotation]:
    """Return the annotations of a tier with text and times, in order of their start.

    An annotation that refers to another one has its time; several that refer to one share it evenly. Slots
    without a time divide the time between their neighbours in the tier evenly, as ELAN shows them.
    """
    _, referring, _, _ = eaf.tiers[tier]
    if not referring:
        found = list(_aligned(eaf, tier).values())
    else:
        groups: dict[str, list[str]] = {}
        for key in _in_order(referring):
            parent, text, _, _ = referring[key]
            groups.setdefault(parent, []).append(text)
        spans = {key: span for name in eaf.tiers for key, span in _spans(eaf, name, groups)}
        found = [note for parent, texts in groups.items() for note in _shared(spans[parent], texts)]
    return sorted(found, key=lambda note: (note.start is None, note.start or 0.0))


def _spans(eaf: Eaf, tier: str, wanted: dict[str, list[str]]) -> Iterator[tuple[str, Annotation]]:
    """Yield the wanted annotations of a tier by id, with their times."""
    aligned, referring, _, _ = eaf.tiers[tier]
    ids = [*aligned, *referring]
    if not any(key in wanted for key in ids):
        return
    yield from _aligned(eaf, tier).items()
    groups: dict[str, list[str]] = {}
    for key in _in_order(referring):
        groups.setdefault(referring[key][0], []).append(key)
    above = {key: span for name in eaf.tiers for key, span in _spans(eaf, name, groups)} if groups else {}
    for parent, keys in groups.items():
        yield from zip(keys, _shared(above[parent], keys), strict=True)


def _in_order(referring: dict[str, tuple[str, str, str | None, str | None]]) -> list[str]:
    """Return the ids of annotations, each after the one that it names as the previous one.

    A file may list them in any order. Raises RecursionError if they follow each other in a circle.
    """
    place: dict[str, int] = {}

    def number(key: str, depth: int = 0) -> int:
        if depth > len(referring):
            raise RecursionError(key)
        if key not in place:
            previous = referring[key][2]
            place[key] = number(previous, depth + 1) + 1 if previous in referring else 0
        return place[key]

    return sorted(referring, key=number)


def _shared(span: Annotation, texts: list[str]) -> list[Annotation]:
    """Return annotations with `texts` that share the time of `span` evenly."""
    if span.start is None or span.end is None:
        return [Annotation(None, None, text, False) for text in texts]
    step, timed = (span.end - span.start) / len(texts), span.timed and len(texts) == 1
    edges = [round(span.start + number * step, 3) for number in range(len(texts) + 1)]
    return [Annotation(*edge, text, timed) for edge, text in zip(pairwise(edges), texts, strict=True)]


def _aligned(eaf: Eaf, tier: str) -> dict[str, Annotation]:
    """Return the annotations of a tier that lie on time slots, by id."""
    slots = _slot_times(eaf, tier)
    return {
        key: Annotation(
            slots[begun], slots[ended], text, None not in (eaf.timeslots[begun], eaf.timeslots[ended])
        )
        for key, (begun, ended, text, _) in eaf.tiers[tier][0].items()
    }


def _slot_times(eaf: Eaf, tier: str) -> dict[str, float | None]:
    """Return the time in seconds of every slot that the tier uses."""
    used = {slot for begun, ended, _, _ in eaf.tiers[tier][0].values() for slot in (begun, ended)}
    order = [slot for slot in eaf.timeslots if slot in used]
    values = pd.Series([eaf.timeslots[slot] for slot in order], dtype=float)
    filled = values.interpolate(limit_area="inside") / 1000
    return {
        slot: None if pd.isna(time) else round(float(time), 3)
        for slot, time in zip(order, filled, strict=True)
    }
