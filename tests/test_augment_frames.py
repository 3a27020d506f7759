"""Frame augmentation: every length, values in 0 to 1, one draw for a whole clip, no mirror."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from signloom.augment import frames as aug
from signloom.augment.frames import LEVELS, Draw, Level

LENGTHS = [1, 2, 3, 500]
EVERYTHING = dataclasses.replace(
    LEVELS["heavy"],
    **{field.name: 1.0 for field in dataclasses.fields(Level) if field.name.endswith("_p")},
)


def clip(frames: int, size: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((frames, size, size, 3), dtype=np.float32)


def apply(source: Iterable[np.ndarray], plan: Draw) -> np.ndarray:
    """The frames of the copy that `plan` describes."""
    shown = enumerate(aug.pick(source, plan.order))
    return np.stack([aug.alter(frame, plan, place) for place, frame in shown])


def augmented(source: np.ndarray, level: Level, seed: int = 0) -> np.ndarray:
    return apply(source, aug.draw(level, len(source), np.random.default_rng(seed)))


def one(name: str, **values: object) -> Level:
    """A level at which one thing always happens and nothing else ever does."""
    return Level(**{name: 1.0}, **values)  # type: ignore[arg-type]


ALONE = {
    "rotation": one("rotation_p", rotation=15),
    "scale": one("scale_p", scale=(0.9, 1.1)),
    "jitter": one("jitter_p", jitter=(0.3, 0.3, 0.2)),
    "noise": one("noise_p", noise=0.05),
    "blur": one("blur_p", blur=3),
    "mask": one("mask_p", masks=1, mask=0.15),
    "speed": one("speed_p", speeds=(0.85,)),
    "jitter in time": one("jitter_time_p", drop=0.08, duplicate=0.08),
    "mask in time": one("time_mask_p", time_masks=1, time_mask=5),
    "shift": one("shift_p", shift=5),
    "everything": EVERYTHING,
}


@pytest.mark.parametrize("frames", LENGTHS)
@pytest.mark.parametrize("name", ALONE)
def test_each_augmentation_is_defined_for_every_length_and_keeps_values_in_range(
    name: str, frames: int
) -> None:
    source = clip(frames)
    source.flags.writeable = False
    for seed in range(3):
        changed = augmented(source, ALONE[name], seed)
        assert changed.dtype == np.float32 and changed.shape[1:] == source.shape[1:] and len(changed) >= 1
        assert np.isfinite(changed).all() and changed.min() >= 0 and changed.max() <= 1


@pytest.mark.parametrize("name", [name for name in ALONE if name != "everything"])
def test_each_augmentation_changes_a_clip_of_many_frames(name: str) -> None:
    source = clip(60)
    changed = augmented(source, ALONE[name], 1)
    assert changed.shape != source.shape or np.abs(changed - source).max() > 0.01


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_no_draw_of_a_level_goes_back_in_time_or_leaves_no_frame(level: str, frames: int) -> None:
    for seed in range(60):
        plan = aug.draw(LEVELS[level], frames, np.random.default_rng(seed))
        assert len(plan.order) == len(plan.dark) >= 1 and not plan.dark.all()
        assert (np.diff(plan.order) >= 0).all() and plan.order[0] >= 0 and plan.order[-1] < frames


def test_the_levels_happen_as_often_and_go_as_far_as_the_specification_says() -> None:
    draws = {
        name: [aug.draw(level, 100, np.random.default_rng(seed)) for seed in range(2000)]
        for name, level in LEVELS.items()
    }

    def share(name: str, field: str, nothing: object) -> float:
        return float(np.mean([getattr(plan, field) != nothing for plan in draws[name]]))

    expected = {
        "none": (0, 0, 0, 0, 0, 0),
        "light": (0, 0, 0.3, 0.2, 0, 0),
        "medium": (0.5, 0.3, 0.5, 0.3, 0, 0),
        "heavy": (0.6, 0.5, 0.6, 0.4, 0.2, 0.3),
    }
    fields = {"angle": 0.0, "zoom": 1.0, "colour": (1.0, 1.0, 1.0), "noise": 0.0, "blur": 0, "boxes": ()}
    for name, shares in expected.items():
        found = [share(name, field, nothing) for field, nothing in fields.items()]  # type: ignore[arg-type]
        assert found == pytest.approx(shares, abs=0.04), name
    far = {name: max(abs(plan.angle) for plan in plans) for name, plans in draws.items()}
    assert far["light"] == 0 and 9.5 < far["medium"] <= 10 and 14 < far["heavy"] <= 15
    assert {plan.noise for plan in draws["heavy"]} == {0, 0.05} and {p.noise for p in draws["light"]} == {
        0,
        0.02,
    }
    assert {plan.blur for plan in draws["heavy"]} == {0, 3}
    zooms = [plan.zoom for plan in draws["medium"]]
    assert 0.95 <= min(zooms) < 0.955 and 1.045 < max(zooms) <= 1.05
    colours = np.array([plan.colour for plan in draws["medium"]])
    np.testing.assert_allclose(abs(colours - 1).max(axis=0), (0.2, 0.2, 0.1), rtol=0.05)
    assert np.array([plan.colour for plan in draws["light"]])[:, 2].tolist() == [1.0] * 2000
    sides = np.array([box[2:] for plan in draws["heavy"] for box in plan.boxes])
    assert 0.1 <= sides.min() < 0.101 and 0.149 < sides.max() <= 0.15
    dark = [int(plan.dark.sum()) for plan in draws["heavy"]]
    assert set(dark) == set(range(6)) and np.mean(np.array(dark) > 0) == pytest.approx(0.2, abs=0.04)
    assert not any(plan.dark.any() for plan in draws["medium"])
    assert all((plan.order == np.arange(100)).all() for plan in draws["light"])


def test_one_draw_holds_for_the_whole_clip() -> None:
    still = np.repeat(clip(1), 9, axis=0)
    level = dataclasses.replace(EVERYTHING, noise_p=0.0, time_mask_p=0.0)
    changed = augmented(still, level)
    assert np.abs(changed - changed[0]).max() == 0 and np.abs(changed[0] - still[0]).max() > 0.01
    noisy = augmented(still, one("noise_p", noise=0.05))
    assert np.abs(noisy[0] - noisy[1]).max() > 0.01, "a camera's noise differs from frame to frame"


def test_a_quarter_turn_is_a_quarter_turn_and_a_picture_is_never_mirrored() -> None:
    picture = clip(1, 15)[0]
    np.testing.assert_allclose(aug.turn(picture, 90, 1), np.rot90(picture), atol=1e-5)
    mark = np.zeros((31, 31, 3), np.float32)
    mark[15, 25] = 1
    for seed in range(20):
        plan = aug.draw(one("rotation_p", rotation=15), 1, np.random.default_rng(seed))
        row, column = np.unravel_index(aug.alter(mark, plan, 0)[..., 0].argmax(), (31, 31))
        angle = np.degrees(np.arctan2(15 - row, column - 15))
        assert angle == pytest.approx(plan.angle, abs=4) and abs(angle) <= 18


def test_zooming_enlarges_about_the_middle_and_repeats_the_edge() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 21, dtype=np.float32)[None, :, None], (21, 21, 3)).copy()
    enlarged, shrunk = aug.turn(ramp, 0, 1.25), aug.turn(ramp, 0, 0.5)
    np.testing.assert_allclose(enlarged[5, :, 0], 0.5 + (ramp[5, :, 0] - 0.5) / 1.25, atol=1e-3)
    assert (shrunk[:, :5] == 0).all() and (shrunk[:, 16:] == 1).all()


@pytest.mark.parametrize(("index", "enhance"), enumerate(["Brightness", "Contrast", "Color"]))
def test_colour_jitter_is_that_of_pillow(index: int, enhance: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for factor in (0.7, 1.0, 1.3):
        factors = [1.0, 1.0, 1.0]
        factors[index] = factor
        expected = getattr(ImageEnhance, enhance)(Image.fromarray(picture)).enhance(factor)
        ours = aug.recolour(picture.astype(np.float32) / 255, *factors) * 255
        assert np.abs(ours - np.asarray(expected, np.float32)).max() <= 1.5


def test_noise_has_the_given_deviation() -> None:
    grey = np.full((64, 64, 3), 0.5, np.float32)
    noise = aug.add_noise(grey, 0.05, np.random.default_rng(0)) - grey
    assert noise.std() == pytest.approx(0.05, rel=0.03) and abs(noise.mean()) < 0.002


def test_blur_keeps_a_flat_picture_and_spreads_a_point_over_three_pixels() -> None:
    flat = np.full((9, 9, 3), 0.25, np.float32)
    np.testing.assert_allclose(aug.blur(flat, 3), flat, atol=1e-6)
    point = np.zeros((9, 9, 3), np.float32)
    point[4, 4] = 1
    spread = aug.blur(point, 3)[..., 0]
    assert spread.sum() == pytest.approx(1, abs=1e-5) and np.count_nonzero(spread) == 9
    assert spread[4, 4] == spread.max() < 1


def test_a_mask_covers_its_share_of_the_picture_and_nothing_else() -> None:
    white = np.ones((40, 60, 3), np.float32)
    covered = aug.cover(white, ((0.25, 0.5, 0.1, 0.15),))
    assert (covered[10:14, 30:39] == 0).all() and covered.sum() == 3 * (40 * 60 - 4 * 9)


@pytest.mark.parametrize("frames", LENGTHS)
@pytest.mark.parametrize("speed", [0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15])
def test_speed_keeps_order_and_both_ends_and_changes_the_length(speed: float, frames: int) -> None:
    order = aug.at_speed(frames, speed)
    assert len(order) == max(1, round(frames / speed))
    assert order[0] == 0 and order[-1] == frames - 1 and set(np.diff(order)) <= {0, 1, 2}


def test_time_jitter_drops_and_repeats_its_shares_and_never_drops_all() -> None:
    orders = [aug.jitter_time(500, 0.08, 0.1, np.random.default_rng(seed)) for seed in range(40)]
    dropped = np.mean([500 - len(set(order.tolist())) for order in orders]) / 500
    repeated = np.mean([len(order) - len(set(order.tolist())) for order in orders]) / 500
    assert dropped == pytest.approx(0.08, abs=0.01) and repeated == pytest.approx(0.092, abs=0.01)
    assert all(len(aug.jitter_time(1, 0.99, 0, np.random.default_rng(seed))) == 1 for seed in range(20))


def test_a_shift_repeats_the_edge_and_does_not_wrap_round() -> None:
    assert aug.shifted(5, 2).tolist() == [0, 0, 0, 1, 2]
    assert aug.shifted(5, -2).tolist() == [2, 3, 4, 4, 4]
    assert aug.shifted(1, 5).tolist() == [0]


def test_frames_are_picked_as_they_stream_by() -> None:
    plan = Draw(np.array([0, 0, 2, 5]), np.array([False, True, False, False]))
    source = iter(clip(9))
    shown = apply(source, plan)
    expected = clip(9)[[0, 0, 2, 5]]
    expected[1] = 0
    np.testing.assert_array_equal(shown, expected)
    assert len(list(source)) == 3, "what comes after the last frame that is shown is not read"


def test_a_copys_draws_depend_on_seed_copy_and_clip_alone() -> None:
    def first(*key: int | str) -> float:
        return float(aug.copy_generator(*key).random())  # type: ignore[arg-type]

    assert first(1, 2, "a") == first(1, 2, "a")
    assert len({first(1, 2, "a"), first(2, 2, "a"), first(1, 3, "a"), first(1, 2, "b")}) == 4
    # a stable hash, not the process's own: this value holds in every run
    assert first(42, 1, "clip") == pytest.approx(0.3187319444259241)
