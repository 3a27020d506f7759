"""Find the gallery sentence of a clip and decide whether to accept it; needs NumPy alone."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]
LANDMARK_DIM = 540  # columns of features that Signloom makes of landmarks


class Gate(NamedTuple):
    """A minimum of Thresholds, the field of GateInputs that it bounds, and the reason of its refusals."""

    minimum: str
    value: str
    reason: str


REASONS = ("no_person", "low_motion", "low_similarity", "ambiguous_top2", "prototype_disagreement")
OK = "ok"
GATES = (
    Gate("motion_floor", "motion_mean", "low_motion"),
    Gate("min_similarity", "similarity", "low_similarity"),
    # the embedding is a mean over frames and ignores their order; dtw_score does not
    Gate("min_dtw_score", "dtw_score", "low_similarity"),
    Gate("min_margin", "margin", "ambiguous_top2"),
    Gate("min_proto_similarity", "proto_similarity", "prototype_disagreement"),
)
_NEEDED = ("similarity", "margin")  # every clip has them; other values may be unknown, and pass


@dataclass(frozen=True)
class Thresholds:
    """The minima of an accepted answer: cosines, a dtw_score, and motion in shoulder widths a second."""

    min_similarity: float
    min_margin: float
    min_proto_similarity: float
    min_dtw_score: float
    motion_floor: float

    def __post_init__(self) -> None:
        """Raise ValueError for NaN, which would let every clip through its gate."""
        for name, minimum in vars(self).items():
            if math.isnan(minimum):
                raise ValueError(f"{name} is NaN; expected a number")


def why_unfit(config: dict[str, Any], rows: int) -> str:
    """Return why training would have rejected a clip of `rows`, else ""; `config` is model_config.json's."""
    if not rows:
        return REASONS[0]
    quality, rate = config["quality"], config["pose"]["fps"]
    given = config.get("dataset", {}).get("frame_rate") or rate
    # that rate may be of folders of pictures, whose features have the other one
    every = config.get("positions", {}).get("every", 1)  # of rows whose columns are made
    rate = min(rate, given) if config["features"]["dim"] == LANDMARK_DIM else given / every
    short = rows / rate < quality.get("min_seconds", 0.0) and not quality["keep_low"]
    return "too_few_frames" if short else ""


class Gallery:
    """The clips that answers are chosen from, as unit rows (N, E).

    `sentences` (S,) are the distinct sentence ids, ascending; `prototypes` (S, E) has NaN rows where a
    sentence has none. `embeddings` (N, E) are sorted by sentence; `rows` (N,) are their rows in the original
    order, and `place` (N,) the indices of their sentences in `sentences`.
    """

    def __init__(
        self, embeddings: Floats, sentence_ids: Ids, proto_ids: Ids, proto_embeddings: Floats
    ) -> None:
        """Take clips in any order. Raises ValueError without clips."""
        if not len(embeddings):
            raise ValueError("the gallery has no clip")
        self.rows = np.argsort(sentence_ids, kind="stable")
        self.embeddings = np.ascontiguousarray(embeddings[self.rows], np.float32)
        self.sentences, self.starts, self.place = np.unique(
            sentence_ids[self.rows], return_index=True, return_inverse=True
        )
        self.prototypes = np.full((len(self.sentences), embeddings.shape[1]), np.nan, np.float32)
        _, rows, given = np.intersect1d(self.sentences, proto_ids, return_indices=True)
        self.prototypes[rows] = proto_embeddings[given]

    def by_sentence(self, queries: Floats) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
        """Return the cosines (Q, S) of unit `queries` (Q, E) to each sentence's best clip, and these clips.

        Clips (Q, S) are rows of the embeddings in their original order; of equally similar clips the first.
        """
        similarity = queries.astype(np.float32) @ self.embeddings.T
        best = np.maximum.reduceat(similarity, self.starts, axis=1)
        # the first clip that reaches its sentence's best, found without a slow loop over sentences
        clips = np.arange(len(self.embeddings))
        reached = similarity == best[:, self.place]
        first = np.minimum.reduceat(np.where(reached, clips, len(clips)), self.starts, axis=1)
        return best, self.rows[np.where(first < len(clips), first, self.starts)]

    def to_prototypes(self, queries: Floats) -> npt.NDArray[np.float32]:
        """Return the cosine (Q, S) of `queries` (Q, E) to each prototype, NaN for sentences without one."""
        return queries.astype(np.float32) @ self.prototypes.T


class GateInputs(NamedTuple):
    """The inputs of the gates, (Q,) each."""

    place: npt.NDArray[np.intp]  # index of the first sentence in the gallery
    similarity: Floats  # cosine to it
    margin: Floats  # similarity minus the cosine to the next sentence; infinite if there is no other
    proto_similarity: Floats  # NaN without a prototype
    dtw_score: Floats  # with the sentence's most similar clip; NaN if they were not compared
    motion_mean: Floats  # shoulder widths a second, NaN if unknown
    frames: Ids  # feature rows


def weigh(
    best: Floats,
    to_prototypes: Floats,
    motion_mean: Floats,
    frames: Ids,
    place: npt.NDArray[np.intp] | None = None,
    dtw_score: Floats | None = None,
) -> GateInputs:
    """Return the evidence of queries from their cosines (Q, S) to sentences and to prototypes.

    `best` is -inf for a sentence that a query may not be answered with. `place` (Q,) gives the first
    sentences if they were not ranked by cosine; `dtw_score` (Q,) is that of their clips.
    """
    rows = np.arange(len(best))
    place = best.argmax(1) if place is None else place
    first = best[rows, place]
    others = np.array(best, dtype=np.float32)
    others[rows, place] = -np.inf
    margin = first - others.max(1)
    score = np.full(len(best), np.nan) if dtw_score is None else dtw_score
    return GateInputs(place, first, margin, to_prototypes[rows, place], score, motion_mean, frames)


def refusals(gate_inputs: GateInputs, thresholds: Thresholds) -> list[Gate | None]:
    """Return for every query the first gate that its values close; unknown values pass every gate."""
    closed = np.stack([_closed(gate, gate_inputs, thresholds) for gate in GATES], axis=1)
    return [GATES[row.argmax()] if row.any() else None for row in closed]


def judge(gate_inputs: GateInputs, thresholds: Thresholds) -> list[str]:
    """Return for every query the reason of the first gate that rejects it, or `ok`."""
    refused = refusals(gate_inputs, thresholds)
    return [
        REASONS[0] if not frames else gate.reason if gate else OK
        for gate, frames in zip(refused, gate_inputs.frames, strict=True)
    ]


def accepted(gate_inputs: GateInputs, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    """Return (Q,): whether `judge` says `ok`, for many thresholds in a row."""
    closed = [_closed(gate, gate_inputs, thresholds) for gate in GATES]
    return np.asarray((gate_inputs.frames > 0) & ~np.logical_or.reduce(closed))


def _closed(gate: Gate, gate_inputs: GateInputs, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    values, minimum = getattr(gate_inputs, gate.value), getattr(thresholds, gate.minimum)
    return np.asarray(~(values >= minimum) if gate.value in _NEEDED else values < minimum)


def confidence(similarity: Floats, temperature: float) -> npt.NDArray[np.float64]:
    """Return the softmax over sentences (..., S) of `similarity` / `temperature`; zeros if all are -inf."""
    highest = similarity.max(-1, keepdims=True)
    there = np.where(np.isfinite(highest), highest, 0)
    shares = np.exp((similarity - there).astype(np.float64) / temperature)
    return np.asarray(shares / np.maximum(shares.sum(-1, keepdims=True), np.finfo(np.float64).tiny))


def highest(scores: Floats, count: int) -> npt.NDArray[np.intp]:
    """Return the indices of the `count` highest `scores` (N,), highest first, ties by index."""
    count = min(count, len(scores))
    lowest = np.partition(scores, len(scores) - count)[len(scores) - count]
    reach = np.flatnonzero(scores >= lowest)
    return reach[np.argsort(-scores[reach], kind="stable")][:count]
