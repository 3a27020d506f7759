"""The six invented signers: body, skin, hair, clothes, room, camera, tempo; ``signers.yaml`` has them."""

from typing import Literal

from pydantic.dataclasses import dataclass

from demo_corpus.tables import KNOWN_KEYS_ALONE, read_table

Colour = tuple[float, float, float]


@dataclass(frozen=True, config=KNOWN_KEYS_ALONE)
class Signer:
    """One figure. Colours are RGB in 0..1; ``shape`` holds ``anny`` phenotypes in 0..1."""

    signer_id: str
    split: str
    shape: dict[str, float]
    skin: Colour
    lips: Colour
    hair: Colour
    hair_style: Literal["short", "bun", "long", "cap"]
    iris: Colour
    shirt: Colour
    sleeve: float  # 0 shoulder, 1 elbow, 2 wrist
    trousers: Colour
    wall: tuple[Colour, Colour]  # bottom and top of the background
    fps: int
    size: tuple[int, int]  # width, height in pixels
    azimuth: float  # angle of the camera to the figure's left, degrees
    elevation: float  # angle of the camera above the chest, degrees
    zoom: float  # 1 fits the signing space; smaller is farther away
    tempo: float  # durations are divided by it
    left_handed: bool = False
    amplitude: float = 1.0  # size of the signing space


BY_ID = {signer.signer_id: signer for signer in read_table("signers", Signer, "signer_id")}
