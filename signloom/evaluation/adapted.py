"""Signs ranked by prototypes that were adapted to each signer's clips, which are not labelled."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.inference.prototypes import make_prototypes
from signloom.inference.signer_prototypes import RELEVANCE, adapt_prototypes
from signloom.metrics.bootstrap import Floats
from signloom.metrics.retrieval import rank_sentences


def rank_adapted(
    vectors: npt.NDArray[np.float32],
    clips: pd.DataFrame,
    rows: npt.NDArray[np.intp],
    signers: Sequence[str],
    relevance: float = RELEVANCE,
) -> Floats:
    """Return (Q,): the rank of the right sign for each of `rows`, NaN if it has no training clip.

    `vectors` (N, E) are unit rows in the order of the embedding map `clips`. The prototypes are adapted to
    all of `rows` by one of `signers` (Q,), and then ranked for them. Without a name ("") the rank is NaN.
    """
    means, sentences = make_prototypes(vectors, clips, 1), clips["sentence_id"].to_numpy(np.int64)
    prototypes, of = means["embeddings"].astype(np.float64), means["sentence_ids"].astype(np.int64)
    names, ranks = np.array(signers, dtype=object), np.full(len(rows), np.nan)
    for signer in sorted(set(signers) - {""}):
        mine = np.flatnonzero(names == signer)
        asked = rows[mine]
        adapted = adapt_prototypes(vectors[asked], prototypes, relevance)
        ranks[mine] = rank_sentences(vectors[asked], sentences[asked], adapted, of).rank
    return ranks
