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
        lengths = np.array([questions.length(name) for name in names], np.int64)
        nothing = np.zeros((0, len(self.gallery.sentences)), np.float32)
        order, parts = list[int](), [weigh(nothing, nothing, questions.motion_means[:0], lengths[:0])]
        # a batch at a time: cosines of all questions to all sentences would grow with the square of a corpus
        for rows, encoded in encode_clips(trained, questions, names, _BATCH, "embed questions"):
            embeddings = encoded.embedding.float().cpu().numpy()
            best, clips = self.gallery.by_sentence(embeddings)
            best[questions.left_out[rows][:, None] == self.gallery.sentences] = -np.inf
            nearest = clips[np.arange(len(rows)), best.argmax(1)]
            states = encoded.frames[..., : self._states.shape[1]].float().cpu().numpy()
            rows_of = zip(states, encoded.valid.sum(1).tolist(), self._places[nearest], strict=True)
            score = [
                dtw_score(own[:length], np.asarray(self._states[offset : offset + count]))
                for own, length, (offset, count) in rows_of
            ]
            about = questions.motion_means[rows], lengths[rows]
            to_prototypes = self.gallery.to_prototypes(embeddings)
            parts.append(weigh(best, to_prototypes, *about, dtw_score=np.array(score)))
            order += rows
        back = np.argsort(order)
        return GateInputs(*(np.concatenate(values)[back] for values in zip(*parts, strict=True)))
