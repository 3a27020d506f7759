"""Find the times of the glosses of clips, and score them where the true times are known.

The rivals look at no video: equal shares of the clip, and shares by the mean lengths of the training clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.datasets import TOGETHER, data_sets
from signloom.evaluation.gloss_model import Encoded, clip_batches
from signloom.evaluation.gloss_shares import (
    ALIGNED,
    BY_LENGTH,
    EQUAL,
    MeanLengths,
    Signed,
    equal_shares,
    signed_clips,
)
from signloom.features.gloss_rows import GlossRows
from signloom.inference.gloss_places import Place, place_glosses, to_seconds
from signloom.metrics.bootstrap import Floats
from signloom.metrics.boundaries import boundary_errors, boundary_figures, compare_boundaries
from signloom.models.trained_gloss import TrainedGloss
from signloom.params.evaluation import EvaluationParams
from signloom.text.glosses import gloss_times
from signloom.text.vocabulary import BLANK, UNK
from signloom.training.ctc import rows_needed

COLUMNS = [
    *("clip_id", "split", "signer_id", "number", "gloss", "start_s", "end_s", "score"),
    *("true_start_s", "true_end_s", "length_s", "reason"),
]


def align_clips(
    trained: TrainedGloss,
    rows: GlossRows,
    splits: pd.DataFrame,
    lines: pd.DataFrame,
    batch_size: int,
    delay_s: float,
) -> pd.DataFrame:
    """Return the times of the glosses of all signed clips, one row per gloss.

    `splits` is splits.csv, `lines` gloss_lines.csv; the rows are `delay_s` late. The table has `COLUMNS`; its
    times are seconds from the clip's start. A clip that cannot be aligned has no times, and the `reason`.
    """
    split_of = splits[splits["sentence_id"] >= 0].set_index("clip_id")["split"].to_dict()
    known = lines[lines["gloss"] != ""]
    number_of = {gloss: number for number, gloss in enumerate(trained.vocabulary)}
    names = [clip for clip in sorted(split_of) if clip in known.index]
    # plain rows: small arrays that stay would keep the room between them, once large scores, from being used
    found: list[tuple[Any, ...]] = []
    for places, features, lengths in clip_batches(rows, names, batch_size, "align"):
        log_probs = Encoded.by(trained, features, lengths).log_probs.cpu().numpy()
        for place, length, heard in zip(places, lengths.tolist(), log_probs, strict=True):
            clip = signed_clip(names[place], known.loc[names[place]], rows)
            ids = [number_of.get(gloss, UNK) for gloss in clip.glosses]
            signed = place_glosses(heard[:length], ids, BLANK)
            reason = f"too_short: {length} rows, needs {rows_needed(tuple(ids))}" if signed is None else ""
            about = split_of[clip.clip_id], known.loc[clip.clip_id, "signer_id"]
            found += _rows(clip, about, signed, rows.input_times(clip.clip_id), delay_s, reason)
    table = pd.DataFrame(found, columns=COLUMNS)
    return table.sort_values(["clip_id", "number"], ignore_index=True)


def signed_clip(clip_id: str, line: pd.Series[str], rows: GlossRows) -> Signed:
    """Return a clip of `line`; raises SignloomError if it has another number of times than of glosses."""
    glosses = tuple(line["gloss"].split())
    truth = np.array(gloss_times(line["gloss_times"]), np.float64).reshape(-1, 2)
    if len(truth) not in (0, len(glosses)):
        raise SignloomError(
            f"clip {clip_id}: {len(truth)} gloss times for {len(glosses)} glosses; build stage text again"
        )
    return Signed(clip_id, glosses, truth, rows.length_s(clip_id))


def _rows(
    clip: Signed,
    about: tuple[str, str],
    places: list[Place] | None,
    times: Floats,
    delay_s: float,
    reason: str,
) -> list[tuple[Any, ...]]:
    """Return the rows of a clip in the table; `about` is its split and its signer."""
    count = len(clip.glosses)
    found = np.full((count, 2), np.nan)
    if places is not None:
        found = to_seconds(places, times, clip.length_s, delay_s)
    scores = [np.nan] * count if places is None else [place.score for place in places]
    truth = clip.truth if len(clip.truth) else np.full((count, 2), np.nan)
    # what differs between processors is far below a millisecond
    numbers = np.round(np.column_stack([found, scores, truth, np.full(count, clip.length_s)]), 4).tolist()
    return [
        (clip.clip_id, *about, number, gloss, *values, reason)
        for number, (gloss, values) in enumerate(zip(clip.glosses, numbers, strict=True))
    ]


def score_times(table: pd.DataFrame, splits: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    """Return the metric entries of each data set: errors of the alignment and of its rivals.

    `table` is that of `align_clips`. Clips without true times and those that cannot be aligned
    are counted, and enter no figure.
    """
    clips = signed_clips(table)
    of_clip = {str(clip): rows for clip, rows in table.groupby("clip_id")}
    trained_on = sorted(splits["clip_id"][splits["split"] == "train"])
    training = [clips[clip] for clip in trained_on if clip in clips]
    lengths = MeanLengths(training) if any(len(clip.truth) for clip in training) else None
    sets = data_sets(splits)
    sets |= {name: [clip for part in parts for clip in sets[part]] for name, parts in TOGETHER.items()}
    return {
        name: _score([(clips[clip], of_clip[clip]) for clip in names if clip in clips], lengths, params)
        for name, names in sets.items()
    }


def _score(
    rows: Sequence[tuple[Signed, pd.DataFrame]], lengths: MeanLengths | None, params: EvaluationParams
) -> dict[str, Any]:
    aligned = [(clip, part) for clip, part in rows if not part["start_s"].isna().any()]
    timed = [(clip, part) for clip, part in aligned if len(clip.truth)]
    signers = [str(part["signer_id"].iloc[0]) for _, part in timed]
    counts = {
        "n": len(timed),
        "n_glosses": sum(len(clip.glosses) for clip, _ in timed),
        "n_too_short": len(rows) - len(aligned),
        "n_without_times": sum(not len(clip.truth) for clip, _ in rows),
    }
    mine = [boundary_errors(part[["start_s", "end_s"]].to_numpy(), clip.truth) for clip, part in timed]
    rivals = {EQUAL: [boundary_errors(equal_shares(clip), clip.truth) for clip, _ in timed]}
    if lengths is not None:
        rivals[BY_LENGTH] = [boundary_errors(lengths.share(clip), clip.truth) for clip, _ in timed]
    return {
        **counts,
        ALIGNED: boundary_figures(mine, signers, params),
        **{
            name: {
                **boundary_figures(theirs, signers, params),
                **compare_boundaries(mine, theirs, signers, params),
            }
            for name, theirs in rivals.items()
        },
    }
