"""The six invented signers: body, skin, hair, clothes, room, camera, tempo."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Signer:
    """One figure. Colours are RGB in 0..1; ``shape`` holds ``anny`` phenotypes in 0..1."""

    signer_id: str
    split: str
    shape: tuple[tuple[str, float], ...]
    skin: Colour
    lips: Colour
    hair: Colour
    hair_style: str  # short, bun, long or cap
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


def _shape(
    gender: float, age: float, muscle: float, weight: float, height: float, proportions: float
) -> tuple[tuple[str, float], ...]:
    return (
        ("gender", gender),
        ("age", age),
        ("muscle", muscle),
        ("weight", weight),
        ("height", height),
        ("proportions", proportions),
    )


SIGNERS: tuple[Signer, ...] = (
    Signer(
        "s1",
        "train",
        _shape(0.9, 0.66, 0.5, 0.45, 0.5, 0.6),
        (0.90, 0.70, 0.58),
        (0.74, 0.38, 0.36),
        (0.26, 0.16, 0.10),
        "long",
        (0.30, 0.42, 0.34),
        (0.10, 0.19, 0.36),
        1.9,
        (0.16, 0.16, 0.19),
        ((0.62, 0.68, 0.72), (0.78, 0.83, 0.86)),
        25,
        (480, 480),
        0.0,
        4.0,
        1.0,
        1.0,
    ),
    Signer(
        "s2",
        "train",
        _shape(0.1, 0.70, 0.6, 0.5, 0.6, 0.5),
        (0.55, 0.36, 0.25),
        (0.46, 0.25, 0.22),
        (0.07, 0.06, 0.06),
        "short",
        (0.20, 0.12, 0.07),
        (0.86, 0.84, 0.76),
        1.75,
        (0.20, 0.24, 0.36),
        ((0.50, 0.62, 0.60), (0.66, 0.77, 0.74)),
        25,
        (560, 480),
        6.0,
        2.0,
        0.97,
        1.03,
    ),
    Signer(
        "s3",
        "train",
        _shape(0.8, 0.80, 0.4, 0.6, 0.4, 0.5),
        (0.80, 0.58, 0.43),
        (0.64, 0.33, 0.30),
        (0.46, 0.44, 0.43),
        "bun",
        (0.24, 0.17, 0.10),
        (0.12, 0.33, 0.28),
        1.9,
        (0.30, 0.26, 0.24),
        ((0.66, 0.65, 0.74), (0.80, 0.79, 0.87)),
        25,
        (480, 480),
        -5.0,
        5.0,
        0.98,
        0.98,
        True,
    ),
    Signer(
        "s4",
        "train",
        _shape(0.2, 0.62, 0.45, 0.35, 0.55, 0.6),
        (0.93, 0.75, 0.65),
        (0.76, 0.42, 0.40),
        (0.62, 0.43, 0.20),
        "short",
        (0.30, 0.45, 0.60),
        (0.42, 0.10, 0.16),
        1.1,
        (0.18, 0.20, 0.26),
        ((0.56, 0.66, 0.76), (0.70, 0.80, 0.88)),
        30,
        (528, 480),
        4.0,
        6.0,
        1.0,
        1.02,
        False,
        1.05,
    ),
    Signer(
        "s5",
        "val",
        _shape(0.7, 0.66, 0.5, 0.5, 0.5, 0.4),
        (0.68, 0.46, 0.33),
        (0.56, 0.29, 0.27),
        (0.11, 0.08, 0.07),
        "bun",
        (0.18, 0.11, 0.06),
        (0.80, 0.82, 0.86),
        1.85,
        (0.22, 0.20, 0.24),
        ((0.58, 0.70, 0.58), (0.74, 0.84, 0.74)),
        25,
        (520, 480),
        -4.0,
        3.0,
        0.98,
        1.0,
        False,
        0.97,
    ),
    Signer(
        "s6",
        "test",
        _shape(0.3, 0.68, 0.5, 0.4, 0.45, 0.5),
        (0.84, 0.63, 0.49),
        (0.68, 0.37, 0.33),
        (0.15, 0.10, 0.08),
        "cap",
        (0.22, 0.15, 0.09),
        (0.16, 0.17, 0.20),
        1.9,
        (0.34, 0.34, 0.38),
        ((0.70, 0.72, 0.66), (0.84, 0.86, 0.80)),
        25,
        (480, 480),
        3.0,
        4.0,
        0.99,
        1.01,
        False,
        0.98,
    ),
)
BY_ID = {signer.signer_id: signer for signer in SIGNERS}
