"""Choose the thresholds that accept the most clips rightly and still refuse the clips they should."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.evaluation.outofset import IN_SET, KINDS
from signloom.inference.gates import GateInputs, Thresholds, accepted

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

GATES = ("min_similarity", "min_margin", "min_proto_similarity", "min_dtw_score")
OPEN, SHUT = -1.0, 2.0  # below and above every cosine and score
FALLBACK = (0.6, 0.05, OPEN, OPEN)  # from the design document, for when no clips can decide
MOST_STEPS = 100  # the most thresholds tried per gate


class Point(NamedTuple):
    """One choice of thresholds, in the order of GATES, and what it accepts."""

    false_accepts: int
    right: int  # in-set clips accepted with their sentence
    under: int  # clips below each threshold, summed over gates; fewer means looser
    thresholds: tuple[float, ...]


class Calibrated(NamedTuple):
    """The chosen thresholds, the points they were chosen from, and a reason if none could be chosen."""

    thresholds: Thresholds
    points: list[Point]
    reason: str


def calibrate(
    gate_inputs: GateInputs, right: Bools, out: Bools, motion_floor: float, max_false_accept_rate: float
) -> Calibrated:
    """Choose thresholds from rightly answered clips and from clips that should be refused.

    `right` (Q,) marks the first and `out` (Q,) the second. Without in-set clips, or without clips to refuse,
    the thresholds of the design document are returned.
    """
    asked = [("of a sentence that training saw", ~out), ("that ought to be refused", out)]
    lacking = [what for what, which in asked if not which.any()]
    if lacking:
        reason = f"no validation clip {lacking[0]}: the thresholds are the design document's, not chosen here"
        return Calibrated(_thresholds(FALLBACK, motion_floor), [], reason)
    points = search(gate_inputs, right, out, motion_floor)
    # the small term protects a whole product of rate and count from being rounded down
    chosen = choose(points, math.floor(max_false_accept_rate * out.sum() + 1e-9))
    return Calibrated(_thresholds(chosen.thresholds, motion_floor), points, "")


def thresholds_entries(
    calibrated: Calibrated, max_false_accept_rate: float, figures: Mapping[str, Any]
) -> dict[str, Any]:
    """Return thresholds.json: the thresholds, the requested rate and the `figures` that they reach."""
    scored = ("false_accept_rate", "accepted_and_right", "n_in", "n_out")
    return {
        **asdict(calibrated.thresholds),
        "max_false_accept_rate": max_false_accept_rate,
        **{name: figures[name] for name in scored},
        **({"reason": calibrated.reason} if calibrated.reason else {}),
    }


def search(gate_inputs: GateInputs, right: Bools, out: Bools, motion_floor: float) -> list[Point]:
    """Return the thresholds that accept the most in-set clips rightly, for each number of false accepts.

    `right` and `out` are as in `calibrate`. All combinations of thresholds that make a difference for these
    clips are counted. Among equal combinations, the loosest is returned. A threshold lies halfway between two
    values, so that rounding does not matter.
    """
    values = _values(gate_inputs)
    judged = (
        (gate_inputs.frames > 0)
        & ~(gate_inputs.motion_mean < motion_floor)
        & np.isfinite(gate_inputs.similarity)
    )
    values, right, out = values[judged], right[judged], out[judged]
    gates = [_Gate(values[:, gate], right, shuts=not gate) for gate in range(len(GATES))]
    shape = tuple(len(gate.thresholds) for gate in gates)
    found = np.full(int(out.sum()) + 1, -1, np.int64)
    under = gates[1].under[:, None, None] + gates[2].under[:, None] + gates[3].under
    most = sum(int(gate.under.max()) for gate in gates)
    cells = np.arange(under.size).reshape(shape[1:])
    total = under.size * shape[0]
    for step in range(shape[0]):
        passed = gates[0].level >= step
        levels = [gate.level[passed] for gate in gates[1:]]
        hits, errors = (_accepted(levels, which[passed], shape[1:]) for which in (right, out))
        # one number per point that ranks the most right first, then the loosest
        rank = hits * (most + 1) + most - under - gates[0].under[step]
        packed = rank * total + total - 1 - (step * under.size + cells)
        np.maximum.at(found, errors.ravel(), packed.ravel())
    points = []
    for false_accepts in np.flatnonzero(found >= 0).tolist():
        best, cell = divmod(int(found[false_accepts]), total)
        steps = np.unravel_index(total - 1 - cell, shape)
        chosen = tuple(float(gate.thresholds[s]) for gate, s in zip(gates, steps, strict=True))
        points.append(Point(false_accepts, best // (most + 1), most - best % (most + 1), chosen))
    return points


def choose(points: Sequence[Point], most: int) -> Point:
    """Return the point with the most right answers among those with at most `most` false accepts.

    Among equal points it is the loosest, because tight thresholds would wrongly refuse other signers and
    cameras more often. After that, it is the one with the fewest false accepts.
    """
    within = [point for point in points if point.false_accepts <= most]
    return max(within, key=lambda point: (point.right, -point.under, -point.false_accepts))


def staircase(points: Sequence[Point]) -> list[Point]:
    """Return the points with more right answers than every point with fewer false accepts."""
    highest = itertools.accumulate((point.right for point in points), max, initial=-1)
    return [point for point, before in zip(points, highest, strict=False) if point.right > before]


def curve_table(
    calibrated: Calibrated, gate_inputs: GateInputs, right: Bools, kinds: npt.NDArray[np.str_]
) -> pd.DataFrame:
    """Return the staircase, the chosen point and open gates, for all kinds together (`all`) and for each.

    There is one row per point and kind: `kind, false_accept_rate, accepted_and_right, chosen`, then the
    thresholds, which all kinds share. `kinds` (Q,) are those of the clips.
    """
    floor = calibrated.thresholds.motion_floor
    tried = [_thresholds(point.thresholds, floor) for point in staircase(calibrated.points)]
    columns = ["kind", "false_accept_rate", "accepted_and_right", "chosen", *GATES]
    rows = []
    ends = [calibrated.thresholds, _thresholds([OPEN] * len(GATES), floor)]
    for thresholds in dict.fromkeys([*tried, *ends]):
        passed = accepted(gate_inputs, thresholds)
        share = (passed & right)[kinds == IN_SET]
        values = [getattr(thresholds, gate) for gate in GATES]
        for kind in ("all", *KINDS):
            which = kinds == kind if kind != "all" else kinds != IN_SET
            if which.any() and len(share):
                chosen = int(thresholds == calibrated.thresholds)
                rows.append([kind, passed[which].mean(), share.mean(), chosen, *values])
    table = pd.DataFrame(rows, columns=columns)
    order = ["kind", "accepted_and_right", "false_accept_rate"]
    return table.sort_values(order, kind="stable").reset_index(drop=True)


def _thresholds(chosen: Sequence[float], motion_floor: float) -> Thresholds:
    return Thresholds(**dict(zip(GATES, chosen, strict=True)), motion_floor=motion_floor)


class _Gate:
    """The thresholds (K,) that are tried for one gate, ascending from the open one.

    `under` (K,) counts the clips below each; `level` (Q,) is the last threshold that each clip passes. If
    there are more values than thresholds to try, the thresholds are evenly spaced over the ranks of rightly
    answered clips and over those of the others.
    """

    def __init__(self, values: Floats, right: Bools, shuts: bool) -> None:
        """Take values (Q,), infinite if unknown; `shuts` adds a threshold above all of them."""
        occurring = np.unique(values[np.isfinite(values)])
        between = (occurring[1:] + occurring[:-1]) / 2
        if len(between) > MOST_STEPS:
            steps = [_even_steps(values[which & np.isfinite(values)]) for which in (right, ~right)]
            between = between[np.isin(occurring[1:], np.concatenate(steps))]
        self.thresholds = np.concatenate([[OPEN], between, [SHUT] if shuts else []])
        self.under = np.searchsorted(np.sort(values), self.thresholds)
        self.level = np.searchsorted(self.thresholds, values, side="right") - 1


def _even_steps(values: Floats) -> Floats:
    """Return MOST_STEPS / 2 evenly spaced values of the sorted `values`, or all if there are fewer."""
    count = min(MOST_STEPS // 2, len(values))
    return np.sort(values)[np.linspace(0, len(values) - 1, count).round().astype(np.intp)]


def _values(gate_inputs: GateInputs) -> Floats:
    """Return values (Q, 4) in the order of GATES; an unknown value passes every threshold."""
    known = (gate_inputs.similarity, gate_inputs.margin, gate_inputs.proto_similarity, gate_inputs.dtw_score)
    values = np.nan_to_num(np.stack(known, axis=1).astype(np.float64), nan=np.inf, posinf=np.inf)
    return np.maximum(values, OPEN)  # rounding may give a cosine below -1


def _accepted(levels: Sequence[Counts], which: Bools, shape: tuple[int, ...]) -> Counts:
    """Return how many of the clips `which` (Q,) pass each combination of thresholds, in `shape`."""
    places = np.ravel_multi_index([level[which] for level in levels], shape)
    counts = np.bincount(places, minlength=int(np.prod(shape))).reshape(shape)
    for axis in range(len(shape)):
        counts = np.flip(np.flip(counts, axis).cumsum(axis), axis)
    return np.asarray(counts)
