"""Make clips of several kinds that should be refused, from the clips of one split."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from signloom.features.shards import FeatureShards

# features (T, 540), presence (T, 4)
Clip = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]

IN_SET = "in_set"
MADE = ("reversed", "shuffled", "spliced")  # altered after recording
KINDS = ("unsigned", "unseen_sentence", "left_out", *MADE)
PIECE_S = 1 / 3  # seconds, about as long as a sign, so that shuffling breaks signs apart


@dataclass(frozen=True)
class Question:
    """A clip that is put to the gallery."""

    kind: str  # in_set, or one of KINDS
    clip_id: str
    sentence_id: int  # of the clip, -1 if nothing is signed
    other: str = ""  # for a spliced clip, the clip that its second half comes from

    @property
    def name(self) -> str:
        """Return a name that identifies this question."""
        return f"{self.kind}/{self.clip_id}"


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a random generator for one clip that does not depend on other clips."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])


def reverse(clip: Clip) -> Clip:
    """Return the clip played backwards."""
    features, mask = clip
    return features[::-1], mask[::-1]


def shuffle(clip: Clip, piece: int, rng: np.random.Generator) -> Clip:
    """Return the clip with its pieces of `piece` frames in a new order, in which none keeps its place.

    The last piece may be shorter. A clip with only one piece is returned unchanged.
    """
    features, mask = clip
    pieces = np.split(np.arange(len(features)), np.arange(piece, len(features), piece))
    order = np.arange(len(pieces))
    while len(pieces) > 1 and (order == np.arange(len(pieces))).any():
        order = rng.permutation(len(pieces))
    rows = np.concatenate([pieces[place] for place in order])
    return features[rows], mask[rows]


def splice(start: Clip, end: Clip) -> Clip:
    """Return the first half of `start` and the second half of `end`; a middle frame is in the second half."""
    cuts = [len(features) // 2 for features, _ in (start, end)]
    features = np.concatenate([start[0][: cuts[0]], end[0][cuts[1] :]])
    return features, np.concatenate([start[1][: cuts[0]], end[1][cuts[1] :]])


class Questions:
    """The questions of one split, with their clips by name for `encode_clips`.

    `of` holds the questions in order. Arrays (Q,) describe each one: `kinds`, `out` (whether it should be
    refused), `sentences` (of its clip), `left_out` (the sentence that it may not be answered with, or -1) and
    `motion_means` (the motion of the clip, NaN if it was not measured on this form of the clip).

    In-set questions are the split's clips of sentences that training saw and the gallery has. Questions of
    kind `left_out` use the same clips with a gallery that lacks their sentence. Each of these clips also
    gives one reversed, one shuffled and one spliced question, unless it is too short to differ.
    """

    def __init__(
        self,
        splits: pd.DataFrame,
        split: str,
        shards: FeatureShards,
        fps: float,
        seed: int,
        gallery: Iterable[int],
    ) -> None:
        """Read clips of `fps` rows per second from `shards`; `splits` is splits.csv.

        `gallery` has the sentences that can be answered. It lacks those of which no clip may be handed on.
        """
        self._shards, self._split, self._seed = shards, split, seed
        self._piece = max(1, round(PIECE_S * fps))
        table = splits[splits["split"] == split].sort_values("clip_id")
        signed = table["sentence_id"] >= 0
        seen = signed & (table["seen"] == 1) & table["sentence_id"].isin({*gallery})
        self.of: list[Question] = [
            *_as_recorded(IN_SET, table[seen]),
            *_as_recorded("unsigned", table[~signed]),
            *_as_recorded("unseen_sentence", table[signed & ~seen]),
            *_as_recorded("left_out", table[seen]),
        ]
        for kind in MADE:
            self.of += self._made(kind, _as_recorded(kind, table[seen]))
        self.names = [question.name for question in self.of]
        self.kinds: npt.NDArray[np.str_] = np.array([question.kind for question in self.of], np.str_)
        self.out: npt.NDArray[np.bool_] = np.asarray(self.kinds != IN_SET)
        self.inside = np.flatnonzero(~self.out)
        self.sentences = np.array([question.sentence_id for question in self.of], np.int64)
        self.left_out = np.where(self.kinds == "left_out", self.sentences, -1)
        self.motion_means = self._motion()
        self._by_name = dict(zip(self.names, self.of, strict=True))

    def right(self, found: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Return which questions (Q,) are in-set and have their own sentence in `found` (Q,)."""
        return np.asarray(~self.out & (self.sentences == found))

    def length(self, name: str) -> int:
        """Return the number of frames of a question's clip."""
        question = self._by_name[name]
        own = self._shards.length(question.clip_id)
        if question.kind != "spliced":
            return own
        other = self._shards.length(question.other)
        return own // 2 + other - other // 2

    def read(self, name: str) -> Clip:
        """Return features (T, 540) and presence bits (T, 4) of a question's clip."""
        question = self._by_name[name]
        clip = self._shards.read(question.clip_id)
        if question.kind == "reversed":
            return reverse(clip)
        if question.kind == "shuffled":
            return shuffle(clip, self._piece, self._generator(question))
        if question.kind == "spliced":
            return splice(clip, self._shards.read(question.other))
        return clip

    def _motion(self) -> npt.NDArray[np.float64]:
        index = self._shards.index
        means = index.get("motion_mean", np.full(len(index), np.nan))
        known = dict(zip(index["clip_id"], means, strict=True))
        return np.array([np.nan if one.kind in MADE else known[one.clip_id] for one in self.of], np.float64)

    def _generator(self, question: Question) -> np.random.Generator:
        return generator(self._seed, self._split, question.kind, question.clip_id)

    def _made(self, kind: str, clips: Sequence[Question]) -> list[Question]:
        least = self._piece + 1 if kind == "shuffled" else 2
        long = [question for question in clips if self._shards.length(question.clip_id) >= least]
        if kind != "spliced":
            return long
        of_sentence: dict[int, list[int]] = {}
        for place, one in enumerate(long):
            of_sentence.setdefault(one.sentence_id, []).append(place)
        spliced = []
        for one in long:
            own = of_sentence[one.sentence_id]
            if len(own) < len(long):
                place = int(self._generator(one).integers(len(long) - len(own)))
                for skipped in own:  # ascending, so that `place` passes over each that lies before it
                    place += skipped <= place
                spliced.append(replace(one, other=long[place].clip_id))
        return spliced


def _as_recorded(kind: str, table: pd.DataFrame) -> list[Question]:
    return [
        Question(kind, clip_id, int(sentence))
        for clip_id, sentence in zip(table["clip_id"], table["sentence_id"], strict=True)
    ]
