"""The answer to a clip."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Match:
    """A sentence or sign of the gallery, represented by its clip that is most similar to the query."""

    rank: int  # from 1
    clip_id: str
    video_file: str
    sentence_id: int
    sentence: str
    category: str
    similarity: float  # the ranking score: the cosine, or the dtw_score after re-ranking
    raw_similarity: float  # cosine of embeddings
    confidence: float  # share among all sentences of the gallery, 0-1
    proto_similarity: float | None  # cosine to the sentence's prototype, None without one
    dtw_score: float | None  # 1 for equal frame sequences; without re-ranking only rank 1 has it


@dataclass(frozen=True)
class Company:
    """Several faces in the picture of a clip, and where the person is who was read."""

    faces: int
    time_s: float  # from the start of the clip
    read: str | None  # left, middle or right of the picture; None if nobody was read at that time


@dataclass(frozen=True)
class Refusal:
    """The threshold that refused a clip, and the clip's value, which is below it."""

    threshold: str  # its name in thresholds.json
    minimum: float
    measured: float | None  # None if it is not a number


@dataclass(frozen=True)
class Answer:
    """Whether a clip is accepted, the reason if not, and the matching sentences."""

    accepted: bool
    reason: str  # ok, or the first gate that rejected the clip
    matches: tuple[Match, ...]  # best first; empty if training would have rejected the clip
    motion_mean: float | None  # shoulder widths a second, None if unknown
    frames: int  # feature rows
    text: str | None  # decoded sentence; None if not requested or not available
    glosses: str | None  # gloss line; None if the bundle has no gloss model
    # where each gloss begins and ends, 0-1 of a video's time or a clip's rows; None if not known
    gloss_spans: tuple[tuple[float, float], ...] | None = None
    mirrored: bool = False  # refused, and found to be accepted when left and right are exchanged
    company: Company | None = None  # None if one face was seen, or none was looked for
    unit: str = "sentence"  # what the bundle answers with: sentence, or sign where it has isolated signs
    sign: str | None = None  # the sign of an accepted clip; None if the bundle has sentences
    refusal: Refusal | None = None  # None if the clip is accepted, or refused without a threshold

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain data, as `predict --json` prints it."""
        return asdict(self)
