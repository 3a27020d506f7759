"""Compute the evidence that the gates check, from the trained encoder and the training gallery."""

from pathlib import Path

import numpy as np
import pandas as pd

from signloom.errors import SignloomError
from signloom.evaluation.datasets import EmbeddedClips
from signloom.evaluation.embed import encode_clips
from signloom.evaluation.outofset import Questions
from signloom.inference.dtw import dtw_score
from signloom.inference.gates import Gallery, GateInputs, weigh
from signloom.models.trained_sign2text import TrainedEncoder

_BATCH = 32


class TrainedGallery:
    """The gallery of stage embed and its encoded frame sequences."""

    def __init__(self, clips: EmbeddedClips, prototypes: Path, frames: Path, frames_index: Path) -> None:
        """Open the files; raises SignloomError if there is no signed training clip or one has no frames."""
        rows = clips.gallery()
        if not len(rows):
            raise SignloomError(
                "no signed training clip has an embedding that may be handed on, so there is nothing to "
                "answer with; check splits.csv, and the consent to `features`"
            )
        of = clips.table.iloc[rows]
        with np.load(prototypes, allow_pickle=False) as given:
            self.gallery = Gallery(
                clips.vectors[rows],
                of["sentence_id"].to_numpy(np.int64),
                given["sentence_ids"],
                given["embeddings"],
            )
        self._states = np.load(frames, mmap_mode="r", allow_pickle=False)
        index = pd.read_parquet(frames_index).set_index("clip_id")
        lost = of["clip_id"][~of["clip_id"].isin(index.index)]
        if len(lost):
            raise SignloomError(
                f"{len(lost)} gallery clips have no frames (first: {lost.iloc[0]}); run stage embed again"
            )
        self._places = index.loc[of["clip_id"], ["offset", "length"]].to_numpy()

    def ask(self, trained: TrainedEncoder, questions: Questions) -> GateInputs:
        """Return the evidence for all questions, in their order."""
        names = questions.names
        best = np.full((len(names), len(self.gallery.sentences)), -np.inf, np.float32)
        prototypes, score = np.full(best.shape, np.nan, np.float32), np.full(len(names), np.nan)
        left_out = questions.left_out[:, None] == self.gallery.sentences
        for rows, encoded in encode_clips(trained, questions, names, _BATCH, "embed questions"):
            embeddings = encoded.embedding.float().cpu().numpy()
            best[rows], clips = self.gallery.by_sentence(embeddings)
            prototypes[rows] = self.gallery.to_prototypes(embeddings)
            best[rows] = np.where(left_out[rows], -np.inf, best[rows])
            lengths = encoded.valid.sum(1).tolist()
            for row, states, length, near in zip(
                rows, encoded.frames.float().cpu().numpy(), lengths, clips, strict=True
            ):
                offset, count = self._places[near[best[row].argmax()]]
                score[row] = dtw_score(states[:length], np.asarray(self._states[offset : offset + count]))
        frames = np.array([questions.length(name) for name in names], np.int64)
        return weigh(best, prototypes, questions.motion_means, frames, dtw_score=score)
