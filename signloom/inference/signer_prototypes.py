"""Prototypes moved towards the clips of a signer whom training did not see, without labels.

The means are adapted as those of speakers are (Gauvain and Lee 1994, maximum a posteriori estimation;
Reynolds et al. 2000, section 3.3, equations 11 to 14). A clip belongs to each sign by the softmax of its
cosines, in place of a Gaussian's likelihood.
"""

import numpy as np
import numpy.typing as npt

Unit = npt.NDArray[np.floating]

# a prototype counts as much as this many clips of the signer; benchmarks/recipes.py scores others
RELEVANCE = 2.0
_TEMPERATURE, _ROUNDS = 0.05, 10


def adapt_prototypes(clips: Unit, prototypes: Unit, relevance: float = RELEVANCE) -> npt.NDArray[np.float64]:
    """Return `prototypes` (S, E) as the unlabelled `clips` (N, E) of one signer move them; all are unit rows.

    A sign that no clip resembles keeps its prototype, and without clips all do. No sign is expected to have
    as many clips as another.
    """
    clips, start = clips.astype(np.float64), prototypes.astype(np.float64)
    adapted = start
    for _ in range(_ROUNDS if len(clips) else 0):
        logits = clips @ adapted.T / _TEMPERATURE
        share = np.exp(logits - logits.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        moved = relevance * start + share.T @ clips
        norms = np.linalg.norm(moved, axis=1, keepdims=True)
        adapted = np.where(norms > 1e-6, moved / np.maximum(norms, 1e-6), start)
    return adapted
