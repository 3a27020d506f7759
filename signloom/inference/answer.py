"""What a clip is answered with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Match:
    """One sentence of the gallery, by its most similar clip."""

    rank: int  # from 1
    clip_id: str
    video_file: str
    sentence_id: int
    sentence: str
    category: str
    similarity: float  # what ranks: the cosine, or with re-ranking the dtw_score
    raw_similarity: float  # cosine of embeddings
    confidence: float  # share among all sentences of the gallery, 0-1
    proto_similarity: float | None  # cosine to the sentence's prototype, where it has one
    dtw_score: float | None  # 1 for equal frame sequences; without re-ranking None but for rank 1


@dataclass(frozen=True)
class Answer:
    """Whether a clip is accepted, why not, and what it may say."""

    accepted: bool
    reason: str  # ok, or the first gate that closed
    matches: tuple[Match, ...]  # best first; empty where no person was seen
    motion_mean: float | None  # shoulder widths a second, where it is known
    frames: int  # feature rows
    text: str | None  # decoded sentence; None where it was not asked for or cannot be had
    glosses: str | None  # gloss line; None where the bundle has no gloss model

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as `predict --json` prints it."""
        return asdict(self)
