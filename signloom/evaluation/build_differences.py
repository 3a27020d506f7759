"""Compare two builds clip by clip: how far their metrics moved, and whether that means anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.builds import RETRIEVAL, Build
from signloom.evaluation.runs import SENTENCES
from signloom.metrics.bleu_and_chrf import bleu_score, bleu_stats
from signloom.metrics.bootstrap import Floats, Score, ratio
from signloom.metrics.metric_files import DECIMALS, SCORE_DECIMALS
from signloom.metrics.paired import (
    Pair,
    decided,
    holm,
    paired_interval,
    signer_bounds,
    signer_difference,
    swap_test,
)
from signloom.params.evaluation import EvaluationParams
from signloom.params.variants import VARIANTS

RESAMPLES, SEED = 2000, 42


class Metric(NamedTuple):
    """A metric that has an interval: its `counts` (clips, K) add up over clips, `score` is that of sums."""

    name: str
    better: Literal["lower", "higher"]
    counts: Callable[[pd.DataFrame], Floats]
    score: Score
    decimals: int = DECIMALS


def _errors(answers: pd.DataFrame) -> Floats:
    return np.asarray(answers[["errors", "words"]], np.float64)


def _right(answers: pd.DataFrame) -> Floats:
    errors, words = _errors(answers).T
    return np.stack([words - errors, words], 1)


def _ngrams(answers: pd.DataFrame) -> Floats:
    return bleu_stats(answers["reference"].tolist(), answers["answer"].tolist())


WER = Metric("wer", "lower", _errors, ratio)
BLEU = Metric("bleu4", "higher", _ngrams, bleu_score, SCORE_DECIMALS)
TOP1 = Metric("ret_top1", "higher", _right, ratio)
METRICS = {metric.name: metric for metric in (WER, BLEU, TOP1)}
# by the family of a model; a gloss variant has its word error rate alone
_OF_MODEL = {SENTENCES: (WER, BLEU), RETRIEVAL: (TOP1,)}


@dataclass(frozen=True)
class Row:
    """A metric of one model and data set in both builds, each the mean over its seeds.

    `difference` is b minus a, `low` and `high` are its 95 % interval (`paired_interval`), and `by_signer` are
    those of `signer_difference`. `p` is that of `swap_test`, corrected for the number of rows that moved.
    `clips` counts those that both builds have with the same reference, `left_out` the others. `moved` is
    whether the counts of any clip differ.
    """

    model: str
    data: str
    metric: str
    clips: int
    left_out: int
    seeds: tuple[int, int]
    a: float
    b: float
    difference: float
    low: float
    high: float
    by_signer: dict[str, Any]
    p: float
    moved: bool

    @property
    def differs(self) -> bool:
        """Whether p is below 0.05, and the intervals over signers and over several seeds leave out 0 too."""
        over_seeds = (self.low, self.high) if max(self.seeds) > 1 else (None, None)
        return decided(self.p, over_seeds, signer_bounds(self.by_signer))

    @property
    def figure(self) -> str:
        """The name of this metric in the metric files."""
        decoder = [VARIANTS[self.model].headline] if self.model in VARIANTS else []
        return " ".join([self.model, self.data, *decoder, self.metric])

    def entries(self) -> dict[str, Any]:
        """Return the difference with its intervals and p for a metric file."""
        figures = {"n": self.clips, "seeds": self.seeds[1], "difference": self.difference}
        return figures | {
            "difference_low": self.low,
            "difference_high": self.high,
            **self.by_signer,
            "p": self.p,
        }


class Comparison(NamedTuple):
    """What moved between two builds.

    `rows` have intervals. `figures` are the other numbers of the metric files that moved: `figure, a, b`.
    `equal` counts what did not move, `alone` what only one build has. `left_out` is the highest number of
    clips of a data set that could not be compared. `clips` are those of `most_changed`.
    """

    rows: list[Row]
    figures: list[dict[str, Any]]
    equal: int
    alone: int
    left_out: int
    clips: list[dict[str, Any]]


def compare_builds(a: Build, b: Build, clips: int) -> Comparison:
    """Compare all that two builds have in common, and list the `clips` clips that changed most.

    Raises SignloomError if no model answered the same clip in both.
    """
    rows = compare_answers(a.answers, b.answers, RESAMPLES, SEED)
    if not rows:
        raise SignloomError("compare: A and B have no model that answered a clip with the same reference")
    both = pd.concat([a.figures, b.figures], axis=1, keys=["a", "b"]).rename_axis("figure")
    said = {row.figure for row in rows}
    # a row that leaves clips out does not say all that its figure says
    moved_too = {row.figure for row in rows if row.left_out}
    alone, same = both.isna().any(axis=1), both["a"] == both["b"]
    named = both.index.isin(said)
    figures = both[~alone & ~same & (~named | both.index.isin(moved_too))]
    moved = [row for row in rows if row.moved]
    still = [row for row in rows if not row.moved and row.figure not in figures.index]
    return Comparison(
        rows=moved,
        figures=figures.reset_index().to_dict("records"),
        equal=len(still) + int((~named & same).sum()),
        alone=int((~named & alone).sum()),
        left_out=most_left_out(a.answers, b.answers),
        clips=most_changed(a.answers, b.answers, clips).to_dict("records"),
    )


def compare_answers(
    a: pd.DataFrame, b: pd.DataFrame, count: int, seed: int, metrics: Sequence[Metric] | None = None
) -> list[Row]:
    """Return a row per metric of every model and data set of which the answers `a` and `b` share clips.

    `metrics` are by default those that a model has. The answers are those of `builds.Build`. The p-values are
    corrected (`holm`) for the number of rows in which a clip changed: the others could not be called
    different, whatever was swapped.
    """
    rows = []
    for (model, data), mine in a.groupby(["model", "data"], sort=False):
        other = b[(b["model"] == model) & (b["data"] == data)]
        sides, left_out = paired(mine, other) if len(other) else ([], 0)
        if sides and len(sides[0][0]):
            for metric in metrics or _OF_MODEL.get(model.partition("-")[0], (WER,)):
                first, second = (np.stack([metric.counts(table) for table in side]) for side in sides)
                pair = Pair(first, second, metric.score, sides[0][0]["signer_id"].tolist())
                rows.append(_row(str(model), str(data), metric.name, pair, left_out, count, seed))
    corrected = iter(holm([row.p for row in rows if row.moved]))
    return [replace(row, p=next(corrected)) if row.moved else row for row in rows]


def compare_models(
    answers: pd.DataFrame, pairs: Sequence[tuple[str, str]], params: EvaluationParams
) -> dict[str, Any]:
    """Return the difference of WER, the first model of a pair minus the other, by pair and data set.

    `answers` is the table of `read_answers`. Pairs of which a model is missing are left out. The p-values are
    corrected over all pairs and data sets.
    """
    known = [pair for pair in pairs if set(pair) <= set(answers["model"])]
    first, other = (
        pd.concat(
            [
                answers[:0],
                *(answers[answers["model"] == pair[side]].assign(model=" - ".join(pair)) for pair in known),
            ]
        )
        for side in (0, 1)
    )
    found: dict[str, Any] = {}
    for row in compare_answers(other, first, params.bootstrap, params.seed, [WER]):
        found.setdefault(row.model, {})[row.data] = row.entries()
    return found


def _row(model: str, data: str, metric: str, pair: Pair, left_out: int, count: int, seed: int) -> Row:
    a, b = (float(pair.score(side.sum(1)).mean()) for side in (pair.a, pair.b))
    low, high = paired_interval(pair, count, seed)
    return Row(
        model=model,
        data=data,
        metric=metric,
        clips=pair.a.shape[1],
        left_out=left_out,
        seeds=(len(pair.a), len(pair.b)),
        a=a,
        b=b,
        difference=b - a,
        low=low,
        high=high,
        by_signer=signer_difference(pair, count, seed),
        p=swap_test(pair, count, seed),
        moved=bool(pair.changed.any()),
    )


def paired(a: pd.DataFrame, b: pd.DataFrame) -> tuple[list[list[pd.DataFrame]], int]:
    """Return each side's answers by seed, of the clips that all have with one reference; count the others."""
    keys = ["clip_id", "reference"]
    times = pd.concat([a, b]).groupby(keys).size()
    common = times[times == a["seed"].nunique() + b["seed"].nunique()].reset_index()[keys]
    sides = [[common.merge(part, on=keys) for _, part in side.groupby("seed", sort=False)] for side in (a, b)]
    return sides, len(set(times.index.get_level_values("clip_id")) - set(common["clip_id"]))


def most_left_out(a: pd.DataFrame, b: pd.DataFrame) -> int:
    """Return how many clips of a model and data set cannot be compared, of the one with most of them."""
    keys = ["model", "data"]
    both = a[keys].drop_duplicates().merge(b[keys].drop_duplicates())
    sides = (table.merge(both, on=keys) for table in (a, b))
    pairs = [dict(list(side.groupby(keys))) for side in sides]
    return max((paired(pairs[0][key], pairs[1][key])[1] for key in pairs[0]), default=0)


def most_changed(a: pd.DataFrame, b: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the `count` clips whose errors changed most, each with its reference and both answers.

    Columns are `model, data, clip_id, signer_id, reference, errors_a, answer_a, errors_b, answer_b`. Of
    several seeds the first counts. In retrieval a wrong first sentence is one error.
    """
    keys = ["model", "data", "clip_id", "signer_id", "reference"]
    said = {"errors": "first", "answer": "first"}
    first, second = (side.groupby(keys, sort=False).agg(said) for side in (a, b))
    both = first.join(second, how="inner", lsuffix="_a", rsuffix="_b")
    moved = (both["errors_b"] - both["errors_a"]).abs().sort_values(ascending=False, kind="stable")
    return both.loc[moved[moved > 0].index[:count]].reset_index()
