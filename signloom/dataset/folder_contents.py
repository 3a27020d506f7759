"""What lies in a folder that somebody wants to train on, and which importer reads most of it."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from signloom.dataset.forms.elan import parsed
from signloom.dataset.forms.likely import likely_forms
from signloom.dataset.forms.subtitles import SUFFIXES
from signloom.dataset.importers import load_table
from signloom.dataset.landmark_sources import holds_frames
from signloom.dataset.probe import FRAME_SUFFIXES, VIDEO_SUFFIXES
from signloom.dataset.row_tables import split_key
from signloom.dataset.withdrawn import are_withdrawn, withdrawn_from
from signloom.errors import SignloomError
from signloom.gate import is_hidden, is_there
from signloom.letters import columns
from signloom.params.dataset import ElanTiers

_TABLES = (".csv", ".tsv", ".txt", ".json", ".xlsx")
# a folder with more of them holds data, one file for each clip, and no tables
_MOST_TABLES = 20
_MOST_ROOTS = 40
_SHARE_OF_GLOSSES = 1 / 3
_REMARKS = re.compile(r"[ck]omm?ent|\bnotes?\b|remark|remarque|bemerkung", re.IGNORECASE)
_GLOSSES = re.compile("glos|глос", re.IGNORECASE)  # gloss, Glosse, glose, glosa, glos, глосса
# of a person in the name of a tier: A, 2, S1, vp03
_MARK = re.compile(r"(?<![^\W_])(?:[A-Z]|[A-Za-z]{0,2}\d{1,3})(?![^\W_])")
# forms whose files have the same names
_TWINS = {"how2sign": ["how2sign_clips"], "phoenix2014t": ["phoenix2014t_videos"]}
# tiers by the names of public corpora and of our own files: DGS Corpus (one person for each camera), NCSLGR,
# NIASL and `signloom predict --eaf`
_KNOWN_TIERS = [
    *(
        ElanTiers(
            sentence=f"Deutsche_Übersetzung_{person}",
            gloss=[f"Lexem_Gebärde_r_{person}", f"Lexem_Gebärde_l_{person}"],
            media=f"_1{person.lower()}1.mp4",
        )
        for person in "AB"
    ),
    ElanTiers(sentence="English translation", gloss=["main gloss", "non-dominant hand gloss"]),
    ElanTiers(sentence="sentence", gloss=["both", "right", "left", "gloss"]),
]
# single signs, as `signloom predict --eaf` and `signloom align --eaf` write them
_SIGNS = ElanTiers(sentence="gloss", gloss=["gloss"])


@dataclass
class Contents:
    """The files below a folder by what they may be; a folder of numbered frames is a clip."""

    root: Path
    clips: list[Path] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    elan: list[Path] = field(default_factory=list)
    subtitles: list[Path] = field(default_factory=list)
    rows: list[Path] = field(default_factory=list)  # of features or landmarks

    @classmethod
    def of(cls, root: Path) -> "Contents":
        """List what is below `root`, apart from hidden files and folders."""
        found = cls(root)
        for name, folders, files in os.walk(root):
            folders[:] = sorted(folder for folder in folders if not is_hidden(Path(folder)))
            place = Path(name)
            # `~$` begins the name of what Excel lays beside a workbook that is open
            paths = [place / file for file in sorted(files) if not file.startswith((".", "~$"))]
            kinds = {path: path.suffix.lower() for path in paths}
            if any(kind in FRAME_SUFFIXES for kind in kinds.values()) or holds_frames(place):
                found.clips.append(place)
            found.clips += [path for path, kind in kinds.items() if kind in (*VIDEO_SUFFIXES, ".pose")]
            found.elan += [path for path, kind in kinds.items() if kind == ".eaf"]
            found.subtitles += [path for path, kind in kinds.items() if kind in SUFFIXES]
            found.rows += [path for path, kind in kinds.items() if kind in (".npy", ".npz")]
            tables = [path for path, kind in kinds.items() if kind in _TABLES]
            found.tables += tables if len(tables) <= _MOST_TABLES else []
        return found

    def folders_above(self, paths: Sequence[Path]) -> list[Path]:
        """Return the folders between the root and each of `paths`, the root first, then by depth."""
        above = {folder for path in paths for folder in path.parents if folder.is_relative_to(self.root)} | {
            self.root
        }
        return sorted(above, key=lambda folder: (len(folder.parts), folder))


class Corpus(NamedTuple):
    """A reading of the folder: what to set in section `dataset`, the rows, and those whose video exists."""

    importer: str
    table: Path
    videos: Path
    elan: list[ElanTiers]
    rows: pd.DataFrame
    present: pd.DataFrame


class Tier(NamedTuple):
    """How many letters of text a tier has in all files, wide ones twice, and how many files have some."""

    letters: int
    files: int


@dataclass
class Understood:
    """The reading that finds most clips, and one line for whatever was tried and could not be used."""

    corpus: Corpus | None
    notes: list[str]
    tiers: dict[str, Tier] = field(default_factory=dict)  # of ELAN files


def understand(contents: Contents) -> Understood:
    """Read the folder as tables and public corpora, else as ELAN files or subtitles.

    The first kind that has a clip wins, and of this kind the reading with most clips.
    """
    notes: dict[str, None] = {}
    tiers = _tiers(contents.elan, notes)
    persons = chosen_tiers(tiers)
    kinds: list[tuple[list[tuple[str, Path]], list[Path]]] = [
        (list(_tables(contents)), contents.folders_above([*contents.clips, *contents.rows])[:_MOST_ROOTS]),
        ([("elan", contents.root)] if contents.elan else [], [contents.root]),
        ([("subtitles", contents.root)] if contents.subtitles else [], [contents.root]),
    ]
    for candidates, roots in kinds:
        readings = [best_reading(*one, roots, persons, notes) for one in candidates]
        corpora = [reading for reading in readings if reading]
        if corpora:
            # of equals the first, which lies nearest to the root
            best = max(corpora, key=lambda one: len(one.present))
            return Understood(best, [*notes, *_of_other_people(best.elan, tiers)], tiers)
    return Understood(None, list(notes), tiers)


def understand_folders(contents: Contents, notes: list[str]) -> Corpus | None:
    """Read the folder as folders named after signs; one folder alone names no signs, but holds videos.

    Adds to `notes` what the reading leaves out.
    """
    best, left = None, dict[str, None]()
    for folder in _folders_of_signs(contents):
        said: dict[str, None] = {}
        one = best_reading("folders", folder, [contents.root], [], said)
        more = one and (best is None or len(one.present) > len(best.present))
        if one and more and len(set(one.present["sentence"])) > 1:
            best, left = one, said
    notes += left
    return best


def best_reading(
    importer: str, table: Path, roots: Sequence[Path], persons: list[ElanTiers], notes: dict[str, None]
) -> Corpus | None:
    """Return the reading of `table` with the folder of videos that has most of its clips, or None."""
    best: Corpus | None = None
    problem = ""
    for videos in roots:
        warnings: list[str] = []
        try:
            rows = load_table(importer, table, videos, persons, warnings=warnings)
        except SignloomError as error:
            problem = problem or str(error)
            continue
        rows = rows[~are_withdrawn(rows, withdrawn_from(table))]
        there = [bool(video) and _is_there(videos / video) for video in rows["video"]]
        if any(there) and (best is None or sum(there) > len(best.present)):
            best = Corpus(importer, table, videos, persons if importer == "elan" else [], rows, rows[there])
            notes |= dict.fromkeys(warnings)
            if all(there):
                break
        problem = problem or _none_found(importer, table, roots[0], rows)
    if best is None:
        notes[problem] = None
    return best


def _none_found(importer: str, table: Path, root: Path, rows: pd.DataFrame) -> str:
    if not len(rows):
        return f"{table} looks like the form {importer}, but has no clip with a text"
    named = next((f", first {video}" for video in rows["video"] if video), "")
    whole = "; expected paths relative to a folder there, with the suffix" if importer == "csv" else ""
    return f"{table} looks like the form {importer}, but none of its videos is below {root}{named}{whole}"


def _is_there(path: Path) -> bool:
    parts = split_key(path)
    return is_there(path) or bool(parts and is_there(parts[0]) and parts[0].is_file())


def _tables(contents: Contents) -> Iterator[tuple[str, Path]]:
    """Yield importer and table of whatever looks like the files of a public corpus, or like a table."""
    read: set[Path] = set()
    for folder in contents.folders_above(contents.tables):
        name = _likely(folder)
        if name and name not in ("elan", "subtitles", "folders"):
            yield from ((one, folder) for one in (name, *_TWINS.get(name, [])))
            read |= {file for file in contents.tables if file.parent == folder}
    for file in contents.tables:
        if file not in read and (name := _likely(file)):
            yield name, file


def _likely(path: Path) -> str | None:
    """Return the most probable form of a file or folder, or None."""
    return next(iter(likely_forms(path)), None)


def _folders_of_signs(contents: Contents) -> list[Path]:
    """Return the folders inside the root whose subfolders hold clips, those nearest to the root first."""
    found = {clip.parent.parent for clip in contents.clips if clip != contents.root}
    inside = [folder for folder in found if folder.is_relative_to(contents.root)]
    return sorted(inside, key=lambda folder: (len(folder.parts), folder))


def _tiers(files: Sequence[Path], notes: dict[str, None]) -> dict[str, Tier]:
    """Return the tiers of all files, those with most text first; note files that cannot be read."""
    tiers: dict[str, Tier] = {}
    for file in files:
        try:
            found = parsed(file).tiers
        except SignloomError as error:
            notes[str(error)] = None
            continue
        for name, (aligned, referring, _, _) in found.items():
            texts = [note[2] for note in aligned.values()] + [note[1] for note in referring.values()]
            letters, before = sum(columns(text or "") for text in texts), tiers.get(name, Tier(0, 0))
            tiers[name] = Tier(before.letters + letters, before.files + bool(letters))
    return dict(sorted(tiers.items(), key=lambda one: -one[1].letters))


def _of_other_people(persons: list[ElanTiers], tiers: dict[str, Tier]) -> Iterator[str]:
    """Yield a line about tiers with text that are called like those of sentences but for a person's mark.

    They are not taken unasked: where both people are in one video, it does not say who signs.
    """
    taken = {person.sentence for person in persons}
    for name in sorted(taken):
        like = _MARK.sub("*", name)
        others = [it for it in tiers if it not in taken and tiers[it].letters and _MARK.sub("*", it) == like]
        if others:
            yield (
                f"{' and '.join(map(repr, others))}, called like the tier {name!r}: if another person signs "
                "there, add an entry to dataset.elan, with `media` for the video that shows this person"
            )


def chosen_tiers(tiers: dict[str, Tier]) -> list[ElanTiers]:
    """Return the tiers of each person: by the names of public corpora, else the tier with most text.

    Tiers that are called glosses are taken with that one. It also wins over known names in far fewer files.
    Remarks are neither, unless there is nothing else. Where else only the tier `gloss` has text, each of its
    annotations is a sign.
    """
    filled = [name for name, tier in tiers.items() if tier.letters]
    known = [
        person.model_copy(update={"gloss": [name for name in person.gloss if name in tiers]})
        for person in _KNOWN_TIERS
        if person.sentence in filled
    ]
    names = {name for person in known for name in (person.sentence, *person.gloss)}
    rest = [name for name in filled if name not in names]
    others = [name for name in rest if not _REMARKS.search(name.replace("_", " "))]
    if known and not (others and _is_fuller(tiers[others[0]], [tiers[one.sentence] for one in known])):
        return known
    if others == [_SIGNS.sentence]:
        return [_SIGNS]
    return [_by_text(tiers, others or rest)] if rest else []


def _by_text(tiers: dict[str, Tier], others: list[str]) -> ElanTiers:
    """Return the tier of `others` with most text, and the tiers that are called glosses beside it.

    Glosses may be longer than the sentences, so a tier of them is one of sentences only for want of another.
    Where glosses have a person's mark such as `_A` or ` S1` at their end, those of the same person are taken.
    """
    glosses = [name for name in others if _GLOSSES.search(name)]
    enough = _SHARE_OF_GLOSSES * tiers[others[0]].letters
    texts = [name for name in others if name not in glosses and tiers[name].letters >= enough]
    if not texts:
        return ElanTiers(sentence=others[0], gloss=[])
    last = re.split(r"[\W_]", texts[0])[-1]
    same = [name for name in glosses if re.split(r"[\W_]", name)[-1] == last]
    return ElanTiers(sentence=texts[0], gloss=same or glosses)


def _is_fuller(tier: Tier, known: list[Tier]) -> bool:
    """Return whether `tier` is in more files than each of `known` and has more text, or as long ones.

    A tier of short comments does not stand above sentences that are still few.
    """
    more = all(tier.files > one.files and tier.letters > one.letters for one in known)
    alike = all(tier.letters / tier.files >= 0.5 * one.letters / one.files for one in known)
    return more or (alike and all(tier.files > 2 * one.files for one in known))
