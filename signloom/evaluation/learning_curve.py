"""The learning curve: the error as a power law of the training clips, and how many more clips halve it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.datasets import NAMES
from signloom.metrics.bootstrap import Floats, Score, entry, interval, ratio
from signloom.metrics.signers import FEWEST, signer_interval
from signloom.params.evaluation import EvaluationParams

Points = npt.NDArray[np.int64]
MOST = 100  # a curve that needs more than this times the clips for half the error counts as flat
NO_ERROR = "no error is left with all training clips"


def learning_curve(
    answers: pd.DataFrame, clips: Mapping[str, int], params: EvaluationParams
) -> dict[str, Any]:
    """Return the curve of every model and data set, and an answer in words for every model.

    `answers` is the table of `read_answers`, whose folds are shares; `clips` maps a share to its number of
    training clips, and "" to that of all. Data sets are those of the run on all clips, so that every share
    is scored on the same clips. Raises SignloomError if a run has no answer for a clip, or two
    shares have the same number of clips.
    """
    shares = sorted(clips, key=lambda share: clips[share])
    points = np.array([clips[share] for share in shares])
    if len(set(points)) < len(points):
        raise SignloomError(
            f"runs.folds: of {clips['']} training clips two shares keep the same number; name others"
        )
    found: dict[str, Any] = {}
    for model, mine in answers.groupby("model", sort=False):
        errors = _errors(str(model), mine, shares)
        scored = mine[mine["fold"] == ""].drop_duplicates("clip_id").set_index("clip_id").loc[errors.index]
        curves = {
            data: _curve(points, errors.loc[part.index].to_numpy(np.float64), part, params)
            for data in NAMES
            for part in [scored[scored["data"] == data]]
            if len(part)
        }
        found[str(model)] = curves | {"answer": answer(curves)}
    return found


def _errors(model: str, answers: pd.DataFrame, shares: Sequence[str]) -> pd.DataFrame:
    """Return errors (clips, shares) of a model, averaged over its seeds."""
    errors = answers.pivot_table(index="clip_id", columns="fold", values="errors", aggfunc="mean")
    errors = errors.reindex(columns=list(shares))
    for share in shares:
        lost = errors.index[errors[share].isna()]
        if len(lost):
            raise SignloomError(
                f"{model}: the run on {share or 100} % of the training clips has no answer for {lost[0]}, "
                "which another run has; build its predictions again"
            )
    return errors


def _curve(points: Points, errors: Floats, scored: pd.DataFrame, params: EvaluationParams) -> dict[str, Any]:
    """Return the rate at every point, the exponent of the power law, and how many more clips halve the error.

    `points` (P,) are numbers of training clips, `errors` (clips, P) those of scored clips. Intervals resample
    signers where there are enough of them, else clips. That of the exponent is at least as wide as the
    scatter of the points about the line, because other seeds and other clips to train on also move them.
    """
    signers = scored["signer_id"].tolist()
    by_signer = "" not in signers and len(set(signers)) >= FEWEST

    def bounds(counts: Floats, score: Score) -> tuple[float, float] | None:
        if by_signer:
            return signer_interval(counts, signers, score, params.bootstrap, params.seed)
        return interval(counts, score, params.bootstrap, params.seed)

    words, total = scored["words"].to_numpy(np.float64), errors.sum(0)
    line = _line(points, total) / words.sum()
    by_clips = {
        str(clips): entry("wer", total[place] / words.sum(), bounds(np.stack([of_clip, words], 1), ratio), "")
        | {"line": float(line[place])}
        for place, (clips, of_clip) in enumerate(zip(points, errors.T, strict=True))
    }
    found: dict[str, Any] = {"n": len(words), "words": int(words.sum()), "by_clips": by_clips}
    found["resampled"] = "signers" if by_signer else "clips"
    if not total[-1]:
        return found | entry("exponent", float("nan"), None, NO_ERROR)
    exponent, spread = float(exponents(points, total)), _spread(points, total)
    low, high = bounds(errors, lambda sums: exponents(points, sums)) or (exponent, exponent)
    low, high = min(low, exponent - spread), max(high, exponent + spread)
    return found | entry("exponent", exponent, (low, high), "") | _more(int(points[-1]), exponent, low, high)


def exponents(points: Points, errors: Floats) -> Floats:
    """Return b of errors = a clips ** -b for `errors` (..., P) at `points` (P,).

    The fit is by least squares of the logarithms. Half an error is added, which makes the logarithm of a
    count nearly unbiased (Gart and Zweifel 1967) and defined for no error. A constant that no number of
    clips removes cannot be told from so few points.
    """
    x = _centred(points)
    return np.asarray(-(np.log(errors + 0.5) @ x) / (x @ x))


def _centred(points: Points) -> Floats:
    logs = np.log(points.astype(np.float64))
    return np.asarray(logs - logs.mean())


def _line(points: Points, errors: Floats) -> Floats:
    """Return the fitted numbers of errors (P,)."""
    x = _centred(points)
    return np.asarray(np.exp(np.log(errors + 0.5).mean() - exponents(points, errors) * x))


def _spread(points: Points, errors: Floats) -> float:
    """Return half of the 95 % interval that a regression gives its slope, from the scatter of its points."""
    x, free = _centred(points), len(points) - 2
    scatter = np.log(errors + 0.5) - np.log(_line(points, errors))
    # a slow import, which a table without a curve does not need
    from scipy import stats

    return float(stats.t.ppf(0.975, free) * np.sqrt(scatter @ scatter / free / (x @ x)))


def _more(clips: int, exponent: float, low: float, high: float) -> dict[str, Any]:
    """Return how many clips more than `clips` halve the error, and what the curve says of them.

    A steeper curve needs fewer clips, so the upper bound of the exponent gives the lower bound of the number.
    """
    number, fewest, most = (_halving(clips, value) for value in (exponent, high, low))
    found: dict[str, Any] = {"more_clips": number, "more_clips_low": fewest, "more_clips_high": most}
    if most is None:
        found["more_clips_reason"] = f"null is more than {MOST} times the clips"
    falls = number is not None and low > 0
    flat = "rises" if high < 0 else "flat"
    return found | {"verdict": flat if fewest is None else "falls" if falls else "undecided"}


def _halving(clips: int, exponent: float) -> int | None:
    """Return how many more clips halve the error, or None if that is more than MOST times as many."""
    if exponent <= np.log(2) / np.log(MOST):
        return None
    return round(clips * (2 ** (1 / exponent) - 1))


def answer(curves: Mapping[str, Any]) -> str:
    """Return in words what the curve with the most errors left says, one of test before one of validation."""
    left = [data for data, curve in curves.items() if curve["exponent"] is not None]
    if not left:
        return f"On {' and '.join(curves)} {NO_ERROR}, so there is nothing to halve."
    data = max(left, key=lambda name: (name.startswith("test"), _last_errors(curves[name])))
    curve = curves[data]
    first, *_, last = curve["by_clips"]
    rates = " and ".join(_rate(clips, curve["by_clips"][clips]) for clips in (first, last))
    number, fewest, most = (_about(curve[f"more_clips{end}"]) for end in ("", "_low", "_high"))
    far = f"{MOST} times as many"
    says = {
        "falls": f"About {number} more would halve it (95 %: {fewest} to {most or f'over {far}'}).",
        "flat": f"The curve is flat: not even {far} would halve it, so clips are not what is missing.",
        "rises": "The error rises with more clips, so clips are not what is missing.",
        "undecided": f"It cannot be told whether more would halve it; it takes at least {fewest} more.",
    }
    rate = "the sign error rate" if are_signs(curve) else "WER"
    return f"On {data} ({curve['n']} clips) {rate} is {rates} training clips. {says[curve['verdict']]}"


def are_signs(curve: Mapping[str, Any]) -> bool:
    """Return whether each clip of a curve is a single sign, which counts as one word."""
    return bool(curve["words"] == curve["n"])


def _last_errors(curve: Mapping[str, Any]) -> float:
    """Return the number of errors that are left with all training clips."""
    return float(list(curve["by_clips"].values())[-1]["wer"] * curve["words"])


def _rate(clips: str, rate: Mapping[str, Any]) -> str:
    value, low, high = (f"{100 * rate[f'wer{end}']:.1f}" for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}] % with {clips}"


def _about(clips: int | None) -> str:
    """Return a number with two digits that count, or "" for None."""
    return "" if clips is None else f"{round(clips, 2 - len(str(clips))):,}"
