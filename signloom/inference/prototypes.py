"""Prototypes: one embedding per sentence, the mean direction of its training clips."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.errors import SignloomError

Arrays = dict[str, npt.NDArray[np.generic]]


def make_prototypes(vectors: npt.NDArray[np.floating], clips: pd.DataFrame, min_clips: int) -> Arrays:
    """Return `sentence_ids` int32, `embeddings` float32 unit rows (S, E) and `counts` int32, by sentence id.

    `vectors` (N, E) are unit rows in the order of the embedding map `clips`. Training clips that
    have a sentence count; a sentence with fewer than `min_clips` of them has no prototype. The mean is
    computed in float64. Raises SignloomError if the clips of a sentence cancel out.
    """
    training = clips[(clips["split"] == "train") & (clips["sentence_id"] >= 0)].sort_values("clip_id")
    ids, means, counts = [], [], []
    for sentence_id, group in training.groupby("sentence_id", sort=True):
        if len(group) < min_clips:
            continue
        mean = vectors[group.index.to_numpy()].astype(np.float64).mean(0)
        norm = float(np.linalg.norm(mean))
        if norm < 1e-6:
            raise SignloomError(
                f"the {len(group)} training clips of sentence {sentence_id} have opposite embeddings, so it "
                "has no prototype; train longer, or check these clips"
            )
        ids.append(sentence_id)
        means.append(mean / norm)
        counts.append(len(group))
    return {
        "sentence_ids": np.array(ids, np.int32),
        "embeddings": np.array(means, np.float32).reshape(len(ids), vectors.shape[1]),
        "counts": np.array(counts, np.int32),
    }
