"""Signs ranked by embeddings and prototypes that were fitted to each signer's clips, without labels."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.inference.prototypes import make_prototypes
from signloom.inference.signer_adaptation import RELEVANCE, SignSpace, adapt_prototypes
from signloom.metrics.bootstrap import Floats
from signloom.metrics.retrieval import rank_sentences


def rank_adapted(
    vectors: npt.NDArray[np.float32],
    clips: pd.DataFrame,
    rows: npt.NDArray[np.intp],
    signers: Mapping[str, str],
    relevance: float = RELEVANCE,
) -> Floats:
    """Return (Q,): the rank of the right sign for each of `rows`, NaN if it has no training clip.

    `vectors` (N, E) are unit rows in the order of the embedding map `clips`; `signers` names who signs each
    clip. Space and prototypes are those of the training clips, and are fitted to all of `rows` by one signer,
    and to the signer's training clips with their labels, before these are ranked. Without a name ("") the
    rank is NaN.
    """
    who = clips["clip_id"].map(signers).to_numpy(dtype=str)
    sentences, ranks = clips["sentence_id"].to_numpy(np.int64), np.full(len(rows), np.nan)
    gallery = np.flatnonzero((clips["split"] == "train") & (sentences >= 0))
    if not len(gallery):
        return ranks
    placed = vectors.astype(np.float64)
    space = SignSpace.of(placed[gallery], sentences[gallery], who[gallery])
    for signer in np.unique(who[gallery]):
        mine = gallery[who[gallery] == signer]
        placed[mine] = space.place(placed[mine])
    means = make_prototypes(placed, clips, 1)
    prototypes, of = means["embeddings"].astype(np.float64), means["sentence_ids"].astype(np.int64)
    for signer in sorted(set(who[rows]) - {""}):
        mine = np.flatnonzero(who[rows] == signer)
        own = gallery[who[gallery] == signer]
        known = np.zeros_like(prototypes)
        np.add.at(known, np.searchsorted(of, sentences[own]), placed[own])
        asked = space.place(vectors[rows[mine]].astype(np.float64))
        adapted = adapt_prototypes(asked, prototypes, relevance, known)
        ranks[mine] = rank_sentences(asked, sentences[rows[mine]], adapted, of).rank
    return ranks
