"""The invented lexicon: 28 signs of handshape, place, movement and hands, some with a facial expression.

Invented for testing; it is no natural sign language. The signs are in ``lexicon.yaml``.
"""

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from demo_corpus.tables import KNOWN_KEYS_ALONE, read_table

Vector = tuple[float, float, float]


@dataclass(frozen=True, config=KNOWN_KEYS_ALONE)
class Key:
    """One hand at one moment; ``at``: share of the sign's time; ``arc`` bends the path that leads here.

    ``place`` is the position of the knuckles in metres along the hand's own axes: x towards its own side,
    y forward, z up. It counts from ``anchor``: ``chest`` is midway between the shoulders, ``face`` midway
    between the eyes. ``fingers`` and ``palm`` are directions in the same axes.
    """

    at: float
    place: Vector
    fingers: Vector
    palm: Vector
    shape: str
    anchor: Literal["chest", "face"] = "chest"
    arc: Vector = (0.0, 0.0, 0.0)


def _one_key_a_place(value: Any) -> Any:
    """Return keys that differ in place alone, evenly spaced in time unless ``times`` has their times."""
    if not isinstance(value, dict):
        return value
    same = dict(value)
    if not (places := same.pop("places", [])):
        raise ValueError("expected a list of keys, or a mapping with `places`")
    last = max(len(places) - 1, 1)
    times = same.pop("times", [number / last for number in range(len(places))])
    return [{"at": at, "place": place, **same} for at, place in zip(times, places, strict=True)]


Keys = Annotated[tuple[Key, ...], BeforeValidator(_one_key_a_place)]


@dataclass(frozen=True, config=KNOWN_KEYS_ALONE)
class Sign:
    """A lexicon entry. ``hands``: one, two (symmetric) or base (the other hand holds still)."""

    gloss: str
    english: str
    synonym: str
    handshape: str
    place: str
    movement: str
    hands: Literal["one", "two", "base"]
    keys: Keys
    other: Keys = ()
    seconds: float = 0.32
    face: dict[str, float] = field(default_factory=dict)
    head: Vector = (0.0, 0.0, 0.0)  # nod down, turn to the dominant side, tilt to it; degrees
    face_note: str = ""
    topic: str = ""  # of sentences with this sign


SIGNS = read_table("lexicon", Sign, "gloss")
BY_GLOSS = {sign.gloss: sign for sign in SIGNS}
