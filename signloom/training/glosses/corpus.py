"""Load the data of the gloss family: clips, their glosses, and whether CTC can align them."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.errors import SignloomError
from signloom.features.gloss_rows import GlossRows, RowFiles, SignerStats
from signloom.features.stats import ColumnMoments, Stats
from signloom.params.gloss import GlossRunParams, TrainGlossParams
from signloom.params.variants import Kind
from signloom.text.glosses import gloss_times, read_gloss_lines, read_vocabulary
from signloom.text.sentences import read_splits
from signloom.text.vocabulary import UNK
from signloom.training.ctc import rows_needed

_LISTED = 10  # an error names at most this many clips; the warning names all


@dataclass(frozen=True, kw_only=True)
class GlossFiles(RowFiles):
    """All that a training reads: the files of its rows, and those of splits.csv and stage text."""

    splits: Path
    glosses: Path  # gloss_vocabulary.json
    gloss_lines: Path


@dataclass(frozen=True)
class GlossClip:
    """A clip and its glosses, as written (`line`) and as ids; `feasible` says whether CTC can align them.

    `sources` are the ids of its features: its own and those of its augmented copies. `times` are start and
    end of each gloss in seconds, and empty if they are unknown or not needed.
    """

    clip_id: str
    line: str
    ids: tuple[int, ...]
    feasible: bool
    sources: tuple[str, ...]
    times: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class GlossCorpus:
    """The training and validation clips, sorted by id."""

    rows: GlossRows
    vocabulary: list[str]
    train: list[GlossClip]
    val: list[GlossClip]

    @classmethod
    def load(
        cls, files: GlossFiles, run: GlossRunParams, kind: Kind, p: TrainGlossParams, timed: bool = False
    ) -> Self:
        """Read `files`, with features of `kind`, and with gloss times if `timed`.

        Raises SignloomError if there is nothing to train on.
        """
        copies = run.row.copies
        rows = GlossRows.open(files, kind, p.max_frames, copies=copies, stack=p.stack, every=p.every)
        vocabulary = read_vocabulary(files.glosses)
        splits = read_splits(files.splits)
        lines = read_gloss_lines(files.gloss_lines)
        glosses = lines["gloss"].to_dict()
        train, val = (_clips(splits, split, glosses, vocabulary, rows) for split in ("train", "val"))
        if not train:
            raise SignloomError(
                f"{files.splits}: the training split has no clip with a gloss; "
                "check the splits section, the gloss column of the table and rejects.csv"
            )
        if timed:
            train = with_times(train, lines)
        if p.normalise_by == "signer":
            rows.signers = signer_stats(train, rows, lines["signer_id"].to_dict())
        if not val:
            print("no validation clip has a gloss, so the last epoch counts as the best")
        if copies and not any(len(clip.sources) > 1 for clip in train):
            raise SignloomError(f"{run.variant}: no training clip has a copy; raise frames.copies")
        check_feasibility(train + val, rows, p.max_infeasible)
        if run.row.ctc_alone:
            train = [clip for clip in train if clip.feasible]  # this variant has no loss but CTC
        if not train:
            raise SignloomError(f"{run.variant}: CTC can align no training clip; see the warning above")
        return cls(rows, vocabulary, train, val)


def with_times(clips: list[GlossClip], lines: pd.DataFrame) -> list[GlossClip]:
    """Return the clips with their gloss times from `lines` (gloss_lines.csv).

    Raises SignloomError if a clip has another number of times than of glosses.
    """
    cells = lines["gloss_times"].to_dict()
    timed = [replace(clip, times=tuple(gloss_times(cells[clip.clip_id]))) for clip in clips]
    for clip in timed:
        if clip.times and len(clip.times) != len(clip.ids):
            raise SignloomError(
                f"clip {clip.clip_id}: {len(clip.times)} gloss times for {len(clip.ids)} glosses; "
                "build stage text again"
            )
    return timed


def signer_stats(clips: list[GlossClip], rows: GlossRows, signer_of: dict[str, str]) -> SignerStats:
    """Return mean and standard deviation of each signer's rows in `clips`.

    A column in which a signer has no value gets the stats of all signers. A column in which a signer's values
    do not vary gets the deviation of all.
    """
    moments: dict[str, ColumnMoments] = {}
    seen: dict[str, npt.NDArray[np.bool_]] = {}
    for clip in clips:
        signer, (values, _) = signer_of.get(clip.clip_id, ""), rows.read(clip.clip_id)
        if signer:
            moments.setdefault(signer, ColumnMoments(values.shape[1])).add(values)
            there = np.isfinite(values).any(axis=0)
            seen[signer] = np.logical_or(seen.get(signer, False), there)
    found = {}
    for signer in sorted(moments):
        own = moments[signer].result()
        mean = np.where(seen[signer], own.mean, rows.mean)
        found[signer] = Stats(mean, np.where(seen[signer] & own.varies, own.std, rows.std))
    return SignerStats(found, signer_of)


def _clips(
    splits: pd.DataFrame, split: str, lines: dict[str, str], vocabulary: list[str], rows: GlossRows
) -> list[GlossClip]:
    """Return the signed clips of `split` that have glosses, and print how many have none."""
    place = {gloss: number for number, gloss in enumerate(vocabulary)}
    chosen = splits[(splits["split"] == split) & (splits["sentence_id"] >= 0)]
    clips, empty = [], 0
    for clip_id in sorted(chosen["clip_id"]):
        if clip_id not in lines:
            raise SignloomError(f"clip {clip_id} of splits.csv has no gloss line; build stage text again")
        if clip_id not in rows or not rows.length(clip_id):
            raise SignloomError(
                f"clip {clip_id} of splits.csv has no {rows.kind} feature rows; look for it in "
                "rejects.csv and in the index of its shard, repair or remove its video and build again"
            )
        if not lines[clip_id]:
            empty += 1
            continue
        ids = tuple(place.get(gloss, UNK) for gloss in lines[clip_id].split())
        needed = rows_needed(ids)
        feasible = rows.length(clip_id) >= needed
        # a copy that was sped up may have too few rows
        least = needed if feasible else 1
        copies = [copy for copy in rows.copies.get(clip_id, []) if rows.length(copy) >= least]
        clips.append(GlossClip(clip_id, lines[clip_id], ids, feasible, (clip_id, *copies)))
    if empty:
        print(f"{empty} of {len(chosen)} {split} clips have no gloss and are left out")
    return clips


def check_feasibility(clips: list[GlossClip], rows: GlossRows, most: float) -> None:
    """Print which clips CTC cannot align; raise SignloomError if their share is above `most`."""
    short = [clip for clip in clips if not clip.feasible]
    if not short:
        return
    named = [
        f"{clip.clip_id} ({rows.length(clip.clip_id)} rows, needs {rows_needed(clip.ids)})" for clip in short
    ]
    found = f"CTC cannot align {len(short)} of {len(clips)} clips"
    if len(short) > most * len(clips):
        more = f" and {len(short) - _LISTED} more" if len(short) > _LISTED else ""
        raise SignloomError(
            f"{found}: {', '.join(named[:_LISTED])}{more}; that is more than train_gloss.max_infeasible "
            f"{most}: lower clip_features.step_size, raise train_gloss.max_frames, lower train_gloss.every, "
            "or raise max_infeasible"
        )
    print(f"warning: {found}: {', '.join(named)}; they are left out of the CTC loss", file=sys.stderr)
