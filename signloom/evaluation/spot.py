"""Find signs by one example in held-out clips, and score which clips are found and where in them.

The example of a gloss is cut out of a training clip by its true times. Rivals: the same example encoded
without the clip around it; the same warping of the rows that the network reads, untrained; and the CTC
probability of the gloss, which works only for glosses of the vocabulary.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from signloom.evaluation.align import signed_clip
from signloom.evaluation.datasets import TOGETHER, data_sets
from signloom.evaluation.gloss_model import Encoded, clip_batches, need_rows
from signloom.evaluation.gloss_shares import Signed
from signloom.features.gloss_rows import GlossRows
from signloom.inference.dtw import unit_rows
from signloom.inference.gloss_places import to_seconds
from signloom.inference.spotting import best_places, compared_rows, rows_within
from signloom.metrics.bootstrap import Floats, entry, figure, mean_figure, ratio
from signloom.metrics.paired import Pair, swap_test
from signloom.metrics.spotting import (
    CUT,
    EXAMPLE,
    KNOWN,
    METHODS,
    RAW,
    average_precision,
    overlaps,
    places_right,
)
from signloom.models.trained_gloss import TrainedGloss
from signloom.params.evaluation import EvaluationParams
from signloom.text.sentences import training_clips
from signloom.text.vocabulary import UNK

_NUMBERS = ("start_s", "end_s", "score", "true_start_s", "true_end_s", "length_s")
COLUMNS = [
    *("method", "gloss", "example_clip", "example_start_s", "example_end_s", "clip_id", "split", "signer_id"),
    *("contains", *_NUMBERS),
]
NO_GLOSS = "no gloss that is in some clips of this data set, not in all, and has an example with times"
NO_PLACE = "no clip with true times contains a gloss that was looked for"
NO_EXTENT = "CTC marks a gloss with a spike, which has no extent"
MOST_GLOSSES = 200  # each is looked for in every clip
LOWEST = -1.0  # score of a clip without a place


class Example(NamedTuple):
    """A gloss of a training clip, with its times in seconds from the clip's start."""

    gloss: str
    clip_id: str
    start_s: float
    end_s: float


class Compared(NamedTuple):
    """What is compared of a clip, row by row.

    `rows` (T, W + V) are those of `compared_rows`, `raw` (T, D) the network's input as unit rows,
    `log_probs` (T, V) those of CTC.
    """

    rows: Floats
    raw: Floats
    log_probs: npt.NDArray[np.float32]


def choose_examples(clips: Iterable[Signed]) -> list[Example]:
    """Return one example of each gloss, by gloss: the first one in the first of `clips` with times."""
    found: dict[str, Example] = {}
    for clip in clips:
        if len(clip.truth):
            for gloss, (start, end) in zip(clip.glosses, clip.truth.tolist(), strict=True):
                found.setdefault(gloss, Example(gloss, clip.clip_id, start, end))
    return [found[gloss] for gloss in sorted(found)]


def spot_glosses(
    trained: TrainedGloss,
    rows: GlossRows,
    splits: pd.DataFrame,
    lines: pd.DataFrame,
    batch_size: int,
    delay_s: float,
) -> pd.DataFrame:
    """Return the best place of the example of each gloss in every held-out clip, by each method.

    `splits` is splits.csv, `lines` gloss_lines.csv; the rows are `delay_s` late. The table has `COLUMNS`. Its
    times are seconds from the clip's start, and the true ones are those of the occurrence that overlaps most.
    A clip with fewer than half as many rows as the example has no place, and the score -1. Of a larger
    vocabulary, only the `MOST_GLOSSES` glosses that occur in most held-out clips are searched.
    """
    known = lines[lines["gloss"] != ""]

    def signed(names: Iterable[str]) -> dict[str, Signed]:
        clips = [clip for clip in sorted(names) if clip in known.index]
        need_rows(rows, clips)
        return {clip: signed_clip(clip, known.loc[clip], rows) for clip in clips}

    searched = signed(clip for clips in data_sets(splits).values() for clip in clips)
    training = signed(training_clips(splits)["clip_id"]).values()
    examples = _most_searched(choose_examples(training), searched.values())
    if not examples:
        return pd.DataFrame(columns=COLUMNS)
    queries = _queries(trained, rows, examples, batch_size, delay_s)
    split_of = splits.set_index("clip_id")["split"]
    tables = []
    for clip_id, clip in _encode(trained, rows, list(searched), batch_size, "spot"):
        about = {"clip_id": clip_id, "split": split_of[clip_id], "signer_id": known.loc[clip_id, "signer_id"]}
        times = rows.input_times(clip_id)
        # a table for each clip, because a dictionary for each row takes ten times the memory
        tables.append(pd.DataFrame(_search(clip, queries, searched[clip_id], times, delay_s)).assign(**about))
    return pd.concat(tables)[COLUMNS].sort_values(["method", "gloss", "clip_id"], ignore_index=True)


def _most_searched(examples: Sequence[Example], clips: Iterable[Signed]) -> list[Example]:
    """Return the examples of the `MOST_GLOSSES` glosses that are in the most of `clips`, by gloss."""
    in_clips = Counter(gloss for clip in clips for gloss in {*clip.glosses})
    found = sorted((example for example in examples if example.gloss in in_clips), key=lambda it: it.gloss)
    kept = sorted(found, key=lambda it: -in_clips[it.gloss])[:MOST_GLOSSES]
    if len(kept) < len(found):
        print(
            f"spot: searches only the {len(kept)} (of {len(found)}) glosses "
            "that occur in most held-out clips",
            file=sys.stderr,
        )
    return sorted(kept, key=lambda it: it.gloss)


class Query(NamedTuple):
    """An example, its number in the vocabulary, and its rows (N, ...) by method."""

    example: Example
    number: int
    rows: Mapping[str, Floats]


def _queries(
    trained: TrainedGloss, rows: GlossRows, examples: Sequence[Example], batch_size: int, delay_s: float
) -> list[Query]:
    number_of = {gloss: number for number, gloss in enumerate(trained.vocabulary)}
    by_clip: dict[str, list[Example]] = {}
    for example in examples:
        by_clip.setdefault(example.clip_id, []).append(example)
    queries = []
    for clip_id, whole in _encode(trained, rows, sorted(by_clip), batch_size, "examples"):
        times = rows.input_times(clip_id) - delay_s
        for example in by_clip[clip_id]:
            part = rows_within(times, example.start_s, example.end_s)
            alone = torch.from_numpy(rows.network_input(clip_id)[part]).float()[None]
            cut = _run(trained, alone, torch.tensor([alone.shape[1]]))[0]
            # copies, so that the rest of the clip is not kept
            own = {EXAMPLE: whole.rows[part].copy(), CUT: cut.rows, RAW: whole.raw[part].copy()}
            queries.append(Query(example, number_of.get(example.gloss, UNK), own))
    return sorted(queries, key=lambda query: query.example.gloss)


def _encode(
    trained: TrainedGloss, rows: GlossRows, clips: Sequence[str], batch_size: int, label: str
) -> Iterator[tuple[str, Compared]]:
    for places, features, lengths in clip_batches(rows, clips, batch_size, label):
        for place, found in zip(places, _run(trained, features, lengths), strict=True):
            yield clips[place], found


def _run(trained: TrainedGloss, features: torch.Tensor, lengths: torch.Tensor) -> list[Compared]:
    encoded = Encoded.by(trained, features, lengths)
    return [
        Compared(compared_rows(states[:length], heard[:length]), unit_rows(raw[:length]), heard[:length])
        for states, raw, heard, length in zip(
            encoded.memory.cpu().numpy(),
            features.numpy(),
            encoded.log_probs.cpu().numpy(),
            lengths.tolist(),
            strict=True,
        )
    ]


def _search(
    clip: Compared, queries: Sequence[Query], signed: Signed, times: Floats, delay_s: float
) -> Iterator[dict[str, Any]]:
    """Yield the best place in a clip of each query by each method."""
    for query in queries:
        example = query.example
        own = np.array([gloss == example.gloss for gloss in signed.glosses])
        truth = signed.truth[own] if len(signed.truth) else signed.truth
        for method in METHODS:
            places = best_places(_distances(clip, query, method), 1)
            nowhere = np.full(2, np.nan)
            found = to_seconds(places, times, signed.length_s, delay_s)[0] if places else nowhere
            true = truth[np.nan_to_num(overlaps(found, truth)).argmax()] if len(truth) else nowhere
            score = places[0].score if places else LOWEST
            yield {
                "method": method,
                "gloss": example.gloss,
                "example_clip": example.clip_id,
                "example_start_s": example.start_s,
                "example_end_s": example.end_s,
                "contains": bool(own.any()),
                # what differs between processors is far below these digits
                **dict(zip(_NUMBERS, np.round([*found, score, *true, signed.length_s], 4), strict=True)),
            }


def _distances(clip: Compared, query: Query, method: str) -> Floats:
    """Return the distances (N, T) of the rows of a query to those of a clip."""
    if method == KNOWN:
        return np.asarray(1 - clip.log_probs[None, :, query.number].astype(np.float64))
    return np.asarray(1 - query.rows[method] @ (clip.raw if method == RAW else clip.rows).T)


def score_spotting(table: pd.DataFrame, splits: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    """Return the metric entries of each data set, by method.

    `table` is that of `spot_glosses`. A gloss that is in all clips of a data set, or in none, is not scored.
    """
    sets = data_sets(splits)
    sets |= {name: [clip for part in parts for clip in sets[part]] for name, parts in TOGETHER.items()}
    return {name: _score(table[table["clip_id"].isin(clips)], params) for name, clips in sets.items()}


def _score(table: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    of_method = {method: table[table["method"] == method] for method in METHODS}
    shares = of_method[EXAMPLE].groupby("gloss")["contains"].mean()
    scored = shares[(shares > 0) & (shares < 1)]
    of_method = {method: part[part["gloss"].isin(scored.index)] for method, part in of_method.items()}
    mine = of_method[EXAMPLE]
    counts = {
        "n": len(scored),
        "n_in_all": int((shares == 1).sum()),
        "n_clips": mine["clip_id"].nunique(),
        "n_places": len(_placed(mine)),
        # an order by chance has a mean average precision near it
        **mean_figure("share_of_clips", scored.to_numpy(np.float64), params.bootstrap, params.seed, NO_GLOSS),
    }
    precisions = {method: _precisions(part) for method, part in of_method.items()}
    return counts | {
        method: {
            **_figures(part, precisions[method], params),
            **(entry("overlap_half", float("nan"), None, NO_EXTENT) if method == KNOWN else {}),
            **({} if method == EXAMPLE else _compare(precisions[EXAMPLE], precisions[method], params)),
        }
        for method, part in of_method.items()
    }


def _figures(part: pd.DataFrame, precisions: Floats, params: EvaluationParams) -> dict[str, Any]:
    """Return the mean average precision of a method, and the shares of right places, over glosses."""
    draw = (params.bootstrap, params.seed)
    placed = _placed(part)
    found, truth = (placed[[f"{of}start_s", f"{of}end_s"]].to_numpy(np.float64) for of in ("", "true_"))
    figures = mean_figure("map", precisions, *draw, NO_GLOSS)
    for name, right in places_right(found, truth).items():
        by_gloss = placed.assign(right=right).groupby("gloss")["right"].agg(["sum", "count"])
        figures |= figure(name, by_gloss.to_numpy(np.float64), ratio, *draw, NO_PLACE)
    return figures


def _compare(mine: Floats, theirs: Floats, params: EvaluationParams) -> dict[str, Any]:
    """Return by how much the average precisions `mine` (glosses,) are higher, and the p of a swap test."""
    draw = (params.bootstrap, params.seed)
    counted = [np.stack([values, np.ones_like(values)], 1)[None] for values in (theirs, mine)]
    pair = Pair(counted[0], counted[1], ratio)
    return {
        **mean_figure("difference", mine - theirs, *draw, NO_GLOSS),
        **({"p": swap_test(pair, *draw)} if len(mine) else {"p": None, "p_reason": NO_GLOSS}),
    }


def _placed(part: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of clips that contain the gloss and have times."""
    return part[part["contains"].astype(bool) & part["true_start_s"].notna()]


def _precisions(part: pd.DataFrame) -> Floats:
    """Return the average precision (glosses,) of each gloss, by gloss."""
    return np.array(
        [
            average_precision(rows["score"].to_numpy(np.float64), rows["contains"].to_numpy(np.float64))
            for _, rows in part.groupby("gloss")
        ]
    )
