"""Write the answers to the passages of a recording as ELAN tiers and as subtitles."""

import hashlib
import html
import json
import mimetypes
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pysubs2
from pympi.Elan import Eaf, to_eaf

from signloom.cells import CONTROL
from signloom.errors import SignloomError
from signloom.files import atomic
from signloom.inference.answer import Answer

SENTENCES, GLOSSES = "sentence", "gloss"
_WRITTEN = "signloom"  # the property of an ELAN file that holds the digest of the tiers as they were written


class Annotation(NamedTuple):
    """A text from `start_ms` to `end_ms` of the recording."""

    start_ms: int
    end_ms: int
    text: str


class AnsweredPassage(NamedTuple):
    """A passage of the recording, in seconds, and the answer to it."""

    start_s: float
    end_s: float
    answer: Answer


def sentences(passages: Sequence[AnsweredPassage]) -> list[Annotation]:
    """Return the sentence or sign of every accepted passage; refused passages have none."""
    return [
        said
        for start_s, end_s, answer in passages
        if answer.accepted
        for said in annotation(start_s, end_s, answer.matches[0].sentence)
    ]


def glosses(passages: Sequence[AnsweredPassage]) -> list[Annotation]:
    """Return the glosses of every accepted passage, each with its time, or the whole line without times.

    A sign is the gloss of its whole passage.
    """
    found = []
    for start_s, end_s, answer in passages:
        if answer.sign is not None:
            found += annotation(start_s, end_s, answer.sign)
            continue  # a tier of ELAN shows one annotation at a time
        if not (answer.accepted and answer.glosses):
            continue
        if not answer.gloss_spans:
            found += annotation(start_s, end_s, answer.glosses)
            continue
        for word, (begun, ended) in zip(answer.glosses.split(" "), answer.gloss_spans, strict=True):
            length = end_s - start_s
            found += annotation(start_s + begun * length, start_s + ended * length, word)
    return found


def write_eaf(path: Path, passages: Sequence[AnsweredPassage], media: Path | None, unit: str) -> None:
    """Write an ELAN file with a tier of sentences, none if the `unit` of answers is sign, and one of glosses.

    `media` is linked by its path from the folder of `path`; None links nothing. Raises SignloomError as
    `refuse_others` does.
    """
    tiers = {SENTENCES: sentences(passages), GLOSSES: glosses(passages)}
    if unit == "sign":
        del tiers[SENTENCES]
    write_tiers(path, tiers, media)


def write_tiers(path: Path, tiers: Mapping[str, Sequence[Annotation]], media: Path | None) -> None:
    """Write an ELAN file with the annotations of each tier; `media` and errors as for `write_eaf`."""
    refuse_others(path)
    eaf = Eaf(author="Signloom")
    eaf.remove_tier("default")
    if media is not None and media.is_file():
        place = Path(os.path.relpath(_place(media), _place(path).parent)).as_posix()
        url = place.replace("%", "%25").replace("#", "%23").replace("?", "%3F")
        kind = mimetypes.guess_type(media.name)[0] or ""
        kind = kind if kind.startswith("video/") else "video/*"  # .ts is also a suffix of texts
        if not CONTROL.search(url):
            eaf.add_linked_file(f"./{url}", relpath=f"./{url}", mimetype=kind)
        else:
            print(f"warning: {path}: no XML can hold the name of {str(media)!r}; rename it", file=sys.stderr)
    for tier, annotations in tiers.items():
        eaf.add_tier(tier)
        for one in annotations:
            eaf.add_annotation(tier, *one)
    eaf.add_property(_WRITTEN, _digest(eaf))
    with atomic(path) as part:
        to_eaf(part, eaf)


def _place(file: Path) -> Path:
    """Return the true place of `file`; a link keeps its own name."""
    return file.parent.resolve() / file.name


def refuse_others(path: Path) -> None:
    """Raise SignloomError if `path` is an ELAN file that we did not write, or that was changed since."""
    if not path.exists():
        return
    try:
        eaf = Eaf(str(path), suppress_version_warning=True)
        ours = dict(eaf.properties).get(_WRITTEN) == _digest(eaf)
    except Exception:  # pympi raises Exception itself for a file that is no XML
        ours = False
    if not ours:
        raise SignloomError(
            f"--eaf: {path} exists, and Signloom did not write it, or somebody changed its tiers since; "
            "choose another name"
        )


def _digest(eaf: Eaf) -> str:
    """Return a digest of all tiers: their names, people, times and texts."""
    tiers = {
        name: [
            attributes.get("PARTICIPANT") or "",
            *sorted(
                [eaf.timeslots[begun], eaf.timeslots[ended], *text.split()]
                for begun, ended, text, _ in aligned.values()
            ),
            *([text, parent] for parent, text, _, _ in referring.values()),
        ]
        for name, (aligned, referring, attributes, _) in eaf.tiers.items()
    }
    return hashlib.sha256(json.dumps(tiers, sort_keys=True).encode()).hexdigest()


def write_subtitles(path: Path, passages: Sequence[AnsweredPassage], form: str) -> None:
    """Write the sentences or signs as subtitles in the form `vtt` or `srt`."""
    file = pysubs2.SSAFile()
    for start, end, said in sentences(passages):
        # a line of its own, or an arrow, could pass for the times of another cue; a word joiner is not seen
        text = " ".join(said.split()).replace("-->", "--\u2060>")
        if form == "vtt":
            text = html.escape(text, quote=False)
        # the library takes \n, \N and \h for spaces
        file.append(pysubs2.SSAEvent(start, end, re.sub(r"\\(?=[nNh])", "\\\\\u2060", text)))
    with atomic(path) as part:
        # with its tags kept, the library leaves braces as they are
        file.save(str(part), encoding="utf-8", format_=form, keep_ssa_tags=True)


def annotation(start_s: float, end_s: float, text: str) -> list[Annotation]:
    """Return the annotation in milliseconds, or nothing if it is shorter than one."""
    start, end = round(1000 * start_s), round(1000 * end_s)
    return [Annotation(start, end, text)] if start < end else []
