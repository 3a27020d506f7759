"""A dressed figure that can be posed."""

from __future__ import annotations

import numpy as np

from demo_corpus.body import Array, Part, rest_mesh
from demo_corpus.clothes import dress
from demo_corpus.signers import Signer


class Body:
    """A dressed figure that can be posed."""

    def __init__(self, signer: Signer) -> None:
        self.rest = rest_mesh(signer.shape)
        self.skeleton = self.rest.skeleton
        self.parts: list[Part] = dress(self.rest, signer)

    def pose(self, deltas: Array, heads: Array, face: Array) -> list[tuple[Array, Array]]:
        """Return points and normals of every part for one frame.

        ``deltas`` (bones, 3, 3), ``heads`` (bones, 3) posed, ``face`` (actions,) in 0..1.
        """
        shift = heads - np.einsum("bij,bj->bi", deltas, self.skeleton.heads)
        transforms = np.concatenate([deltas.reshape(-1, 9), shift], axis=1)
        posed = []
        for part in self.parts:
            blend = part.weights @ transforms
            matrices = blend[:, :9].reshape(-1, 3, 3)
            points = part.points if part.face is None else part.points + np.tensordot(face, part.face, 1)
            moved = np.einsum("nij,nj->ni", matrices, points) + blend[:, 9:]
            posed.append((moved, np.einsum("nij,nj->ni", matrices, part.normals)))
        return posed
