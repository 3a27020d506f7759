"""Embeddings and prototypes of signs, fitted to a signer whom training did not see, without labels.

What is done to speakers in speaker recognition is done to signers here. Embeddings are centred by signer, and
directions in which clips of one sign differ count less (within-class covariance normalisation, Hatch et al.
2006). Prototypes then move towards the signer's clips (maximum a posteriori adaptation of means, Gauvain and
Lee 1994; Reynolds et al. 2000, section 3.3, equations 11 to 14), where a clip belongs to each sign by the
softmax of its cosines, in place of a Gaussian's likelihood.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]
Labels = npt.NDArray[np.generic]

# a prototype counts as much as this many clips of the signer; benchmarks/recipes.py scores others
RELEVANCE = 2.0
_CENTRE = 10.0  # so many clips' worth of the mean of training is in a signer's mean, for signers of few clips
_SHRINKAGE = 0.1  # share of the mean variance that is added to every direction, as few clips leave some empty
_TEMPERATURE, _ROUNDS = 0.05, 10


@dataclass(frozen=True)
class SignSpace:
    """Embeddings without what tells signers apart: the mean (E,) of training, and a whitening (E, E)."""

    mean: Rows
    whitening: Rows

    @classmethod
    def of(cls, vectors: Rows, signs: Labels, signers: Labels) -> Self:
        """Fit the space to training clips `vectors` (N, E), each with its sign and its signer (N,)."""
        mean = vectors.mean(0)
        centred = np.empty_like(vectors)
        for signer in np.unique(signers):
            centred[signers == signer] = _centred(vectors[signers == signer], mean)
        # clips of one sign by one signer around their mean, and these means around that of the sign
        _, of_sign = np.unique(signs, return_inverse=True)
        _, of_signer = np.unique(signers, return_inverse=True)
        _, first, cell = np.unique(
            of_sign * (of_signer.max() + 1) + of_signer, return_index=True, return_inverse=True
        )
        cells = _means(centred, cell)
        scatter = _covariance(centred - cells[cell])
        scatter += _covariance(cells - _means(cells, of_sign[first])[of_sign[first]])
        scatter += _SHRINKAGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
        values, axes = np.linalg.eigh(scatter)
        if values.min() <= 0:  # no sign has two clips that differ
            return cls(mean, np.eye(len(scatter)))
        return cls(mean, (axes / np.sqrt(values)) @ axes.T)

    def place(self, clips: Rows) -> Rows:
        """Return the unit rows (N, E) of the `clips` (N, E) of one signer in this space."""
        placed = _centred(clips, self.mean) @ self.whitening
        norms = np.linalg.norm(placed, axis=1, keepdims=True)
        unit: Rows = np.divide(placed, norms, out=np.zeros_like(placed), where=norms > 0)
        return unit


def adapt_prototypes(
    clips: Rows, prototypes: Rows, relevance: float = RELEVANCE, known: Rows | None = None
) -> Rows:
    """Return `prototypes` (S, E) as the unlabelled `clips` (N, E) of one signer move them; all are unit rows.

    `known` (S, E) is the sum of the signer's clips that have labels, by sign: such a clip belongs to its sign
    alone. A sign that no clip resembles keeps its prototype, and without clips all do. No sign is expected to
    have as many clips as another.
    """
    start = relevance * prototypes + (0.0 if known is None else known)
    adapted = _directions(start, prototypes)
    for _ in range(_ROUNDS if len(clips) else 0):
        logits = clips @ adapted.T / _TEMPERATURE
        share = np.exp(logits - logits.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        adapted = _directions(start + share.T @ clips, prototypes)
    return adapted


def _directions(sums: Rows, prototypes: Rows) -> Rows:
    """Return the unit rows of `sums` (S, E); the row of `prototypes` where a sum is nothing."""
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    unit: Rows = np.where(norms > 1e-6, sums / np.maximum(norms, 1e-6), prototypes)
    return unit


def _centred(clips: Rows, mean: Rows) -> Rows:
    """Return the `clips` (N, E) of one signer minus their mean, which has some clips' worth of `mean`."""
    centred: Rows = clips - (clips.sum(0) + _CENTRE * mean) / (len(clips) + _CENTRE)
    return centred


def _means(rows: Rows, group: npt.NDArray[np.intp]) -> Rows:
    """Return the mean of the `rows` (N, E) of each `group` (N,), numbered from 0."""
    sums = np.zeros((group.max() + 1, rows.shape[1]))
    np.add.at(sums, group, rows)
    means: Rows = sums / np.bincount(group)[:, None]
    return means


def _covariance(rows: Rows) -> Rows:
    """Return the mean outer product (E, E) of `rows` (N, E)."""
    found: Rows = rows.T @ rows / len(rows)
    return found
