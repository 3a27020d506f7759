"""Signs for actions. Invented for testing; no natural sign language."""

from __future__ import annotations

from demo_corpus.sign import BROWS_DOWN, BROWS_UP, SMILE, TO_VIEWER, UP, Key, Sign, path

_BASE_UP = path("flat", (-0.75, 0.65, 0.05), (0.1, 0.45, 0.9), (0.12, 0.27, -0.30))

ACTIONS: tuple[Sign, ...] = (
    Sign(
        "WANT",
        "wanted",
        "wished for",
        "claw",
        "belly",
        "drawn in",
        "two",
        (
            Key(0, (0.21, 0.36, -0.14), (-0.15, 0.75, 0.6), (-0.1, -0.5, 0.85), "claw"),
            Key(1, (0.17, 0.22, -0.29), (-0.25, 0.75, 0.5), (-0.1, -0.4, 0.9), "claw"),
        ),
        face=BROWS_DOWN,
        face_note="brows down",
    ),
    Sign(
        "LIKE",
        "liked",
        "loved",
        "ily",
        "before the shoulder",
        "side to side",
        "one",
        path(
            "ily",
            UP,
            TO_VIEWER,
            (0.24, 0.26, 0.03),
            (0.33, 0.26, 0.04),
            (0.24, 0.26, 0.03),
            (0.33, 0.26, 0.04),
        ),
        face=SMILE,
        face_note="smile",
        seconds=0.36,
    ),
    Sign(
        "BUY",
        "bought",
        "paid for",
        "o",
        "palm of the other hand",
        "forward and out",
        "base",
        (
            Key(0, (0.03, 0.33, -0.17), (-0.35, 0.5, 0.75), (-0.7, -0.3, -0.3), "o"),
            Key(1, (0.27, 0.37, -0.12), (-0.05, 0.45, 0.85), (-0.75, 0.5, -0.3), "o", arc=(0.0, 0.0, 0.05)),
        ),
        _BASE_UP,
    ),
    Sign(
        "MAKE",
        "made",
        "built",
        "fist",
        "belly",
        "one upon the other, twice",
        "base",
        path(
            "fist",
            (-0.6, 0.65, 0.3),
            (-0.55, -0.2, -0.75),
            (0.06, 0.33, -0.07),
            (0.05, 0.33, -0.15),
            (0.06, 0.33, -0.07),
            (0.05, 0.33, -0.15),
        ),
        path("fist", (-0.6, 0.65, 0.3), (-0.55, -0.2, -0.75), (0.04, 0.29, -0.27)),
        seconds=0.35,
    ),
    Sign(
        "SEE",
        "saw",
        "looked at",
        "v",
        "eye",
        "forward and down",
        "one",
        (
            Key(0, (0.13, 0.13, -0.02), (-0.15, 0.1, 1.0), (-0.45, 0.85, 0.0), "v", "face"),
            Key(1, (0.22, 0.34, -0.09), (0.0, 0.45, 0.85), (-0.3, 0.8, -0.4), "v", "face"),
        ),
        face=BROWS_UP,
        face_note="brows up",
    ),
    Sign(
        "FIND",
        "found",
        "came upon",
        "flat to thumb",
        "belly to chest",
        "grasped and lifted",
        "one",
        (
            Key(0, (0.12, 0.32, -0.29), (-0.85, 0.45, 0.1), (-0.1, -0.9, -0.2), "flat"),
            Key(0.35, (0.12, 0.32, -0.27), (-0.85, 0.45, 0.15), (-0.1, -1.0, 0.0), "thumb"),
            Key(1, (0.16, 0.31, -0.03), (-0.8, 0.45, 0.35), (-0.2, -1.0, 0.0), "thumb"),
        ),
        face=BROWS_UP,
        face_note="brows up",
        seconds=0.36,
    ),
)
