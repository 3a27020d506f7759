"""How far the start and end of signs lie from their true times, with intervals over clips and signers."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from signloom.metrics.bootstrap import Floats, bounds, entry, figure, ratio, resamples
from signloom.metrics.paired import Pair, signer_difference, swap_test
from signloom.metrics.signers import signer_entry, signer_resamples
from signloom.params.evaluation import EvaluationParams

LIMITS_MS = (80, 160)  # two and four frames of a video with 25 a second
NO_TIMES = "no clip with true times in this data set"

Errors = Sequence[Floats]  # of each clip, the errors of its boundaries in ms


def boundary_errors(found: Floats, truth: Floats) -> Floats:
    """Return the absolute errors (2 L,) in ms of starts and ends; both are (L, 2), in seconds."""
    return np.asarray(1000 * np.abs(found - truth).ravel())


def boundary_figures(errors: Errors, signers: Sequence[str], params: EvaluationParams) -> dict[str, Any]:
    """Return the median and the mean error of all boundaries, and the share of them within `LIMITS_MS`.

    Intervals resample clips with all their boundaries; `median_ms_by_signer` resamples signers, then their
    clips.
    """
    draw = (params.bootstrap, params.seed)
    median = _median(errors)
    figures = {
        **entry("median_ms", median, _medians(resamples(len(errors), *draw), errors), NO_TIMES),
        **signer_entry(
            "median_ms_by_signer",
            median,
            signers,
            lambda: _medians(_each(signer_resamples(signers, *draw)), errors),
            NO_TIMES,
        ),
        **figure("mean_ms", _sums(errors), ratio, *draw, NO_TIMES),
    }
    for limit in LIMITS_MS:
        within = _sums([clip <= limit for clip in errors])
        figures |= figure(f"within_{limit}_ms", within, ratio, *draw, NO_TIMES)
    return figures


def compare_boundaries(
    mine: Errors, theirs: Errors, signers: Sequence[str], params: EvaluationParams
) -> dict[str, Any]:
    """Return by how much the errors `mine` are lower than `theirs` of the same clips: below 0 is better.

    `difference_ms` is that of the means, with `difference_ms_by_signer` and the p-value `p` of a swap test;
    `median_difference_ms` is that of the medians. Intervals come from paired resamples of clips.
    """
    draw = (params.bootstrap, params.seed)
    ours, others = _sums(mine), _sums(theirs)
    pair = Pair(others[None], ours[None], ratio, signers)
    medians = _medians(resamples(len(mine), *draw), mine, theirs)
    by_signer = signer_difference(pair, *draw) if len(mine) else {}
    lower = np.stack([ours[:, 0] - others[:, 0], ours[:, 1]], 1)
    return {
        **figure("difference_ms", lower, ratio, *draw, NO_TIMES),
        **{name.replace("_by_signer", "_ms_by_signer"): value for name, value in by_signer.items()},
        **entry("median_difference_ms", _median(mine) - _median(theirs), medians, NO_TIMES),
        **({"p": swap_test(pair, *draw)} if len(mine) else {"p": None, "p_reason": NO_TIMES}),
    }


def _sums(values: Sequence[npt.NDArray[Any]]) -> Floats:
    """Return (clips, 2): the sum of the values of each clip, and their number."""
    return np.array([(clip.sum(), len(clip)) for clip in values], np.float64).reshape(-1, 2)


def _median(errors: Errors) -> float:
    return float(np.median(np.concatenate(errors))) if len(errors) else float("nan")


def _medians(rows: Iterable[npt.NDArray[np.int64]], *of: Errors) -> tuple[float, float] | None:
    """Return the bounds of the median over resamples of clips, or of a first median minus a second one.

    `rows` are chunks (R, clips) of the numbers of the clips that were drawn.
    """
    if not len(of[0]):
        return None
    found = [
        [np.median(np.concatenate([errors[clip] for clip in drawn])) for errors in of]
        for chunk in rows
        for drawn in chunk
    ]
    values = np.array(found)
    return bounds([values[:, 0] - (values[:, 1] if len(of) > 1 else 0.0)])


def _each(resample: Iterable[npt.NDArray[np.int64]]) -> Iterable[npt.NDArray[np.int64]]:
    """Yield each resample as a chunk of one; signers have different numbers of clips."""
    return (drawn[None] for drawn in resample)
