"""How well clips and sentences agree in the space of embeddings."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Unit = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_CHUNK = 1024  # clips compared with the sentences at a time


def alignment(clips: Unit, sentences: Sequence[object], embeddings: Unit) -> dict[str, Floats]:
    """Return `inst_top1`, `pos_sim`, `neg_sim` (N,) of each clip against all distinct sentences.

    `clips` (N, E) and `embeddings` (N, E), those of `sentences`, are unit rows. A clip is right if its own
    sentence is more similar to it than every other one. `neg_sim` is the mean over the other sentences. Both
    are NaN if there is only one.
    """
    _, first, own = np.unique(
        np.array(sentences, dtype=object).astype(str), return_index=True, return_inverse=True
    )
    candidates = embeddings[first].astype(np.float64).T
    top, mine, negative = np.full((3, len(clips)), np.nan)
    for start in range(0, len(clips), _CHUNK):
        part = slice(start, start + _CHUNK)
        similarity = clips[part].astype(np.float64) @ candidates
        rows = np.arange(len(similarity))
        mine[part] = similarity[rows, own[part]]
        if len(first) > 1:
            negative[part] = (similarity.sum(1) - mine[part]) / (len(first) - 1)
            similarity[rows, own[part]] = -np.inf
            top[part] = mine[part] > similarity.max(1)
    return {"inst_top1": top, "pos_sim": mine, "neg_sim": negative}
