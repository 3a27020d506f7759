"""Even times and motion, against their definitions written out slowly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signloom.features.pose.motion import frame_motion, summarise
from signloom.features.pose.resample import resample_part, time_grid


def slow_resample(
    values: np.ndarray, times: np.ndarray, grid: np.ndarray, fps: float, gap: int
) -> np.ndarray:
    """The definition, one time after another."""
    out = np.full((len(grid), values.shape[1]), np.nan)
    known = [i for i in range(len(times)) if np.isfinite(values[i]).all()]
    for row, time in enumerate(grid):
        before = [i for i in known if times[i] <= time]
        after = [i for i in known if times[i] >= time]
        if before and after:
            a, b = before[-1], after[0]
            if b - a <= 1 or round((times[b] - times[a]) * fps) - 1 <= gap:
                weight = 0.0 if a == b else (time - times[a]) / (times[b] - times[a])
                out[row] = values[a] + weight * (values[b] - values[a])
                continue
        nearest = int(np.argmin(np.abs(times - time)))
        out[row] = values[nearest]
    return out


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 40),
    fps=st.sampled_from([10.0, 25.0, 30.0]),
    gap=st.integers(0, 6),
    share=st.floats(0, 1),
)
def test_resampling_follows_its_definition(seed: int, count: int, fps: float, gap: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.01, 0.07, count))
    values = rng.normal(size=(count, 3))
    values[rng.random(count) < share] = np.nan
    grid = time_grid(times, fps)
    got = resample_part(values, times, grid, fps, gap)
    np.testing.assert_allclose(got, slow_resample(values, times, grid, fps, gap), atol=1e-12)


def slow_motion(pose: np.ndarray, left: np.ndarray, right: np.ndarray, fps: float) -> list[float]:
    widths = [np.hypot(*(frame[11, :2] - frame[12, :2])) for frame in pose if np.isfinite(frame[11, 0])]
    out = [np.nan]
    for t in range(1, len(pose)):
        speeds = []
        for joint in (11, 12, 13, 14, 15, 16):
            if pose[t, joint, 3] >= 0.5 and pose[t - 1, joint, 3] >= 0.5:
                speeds.append(np.hypot(*(pose[t, joint, :2] - pose[t - 1, joint, :2])) * fps)
        for hand in (left, right):
            for point in range(21):
                step = np.hypot(*(hand[t, point, :2] - hand[t - 1, point, :2])) * fps
                if np.isfinite(step):
                    speeds.append(step)
        out.append(np.mean(speeds) / np.median(widths) if speeds else np.nan)
    return out


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
def test_motion_is_the_mean_speed_of_what_is_visible_in_shoulder_widths(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    pose, hands = rng.normal(size=(count, 33, 4)), rng.normal(size=(2, count, 21, 3))
    pose[..., 3] = rng.uniform(0.2, 1, (count, 33))
    pose[1:][rng.random(count - 1) < 0.2] = np.nan
    hands[rng.random((2, count)) < 0.4] = np.nan
    got = frame_motion(pose, *hands, 25.0)
    np.testing.assert_allclose(got, slow_motion(pose, *hands, 25.0), rtol=1e-9)


def test_motion_of_a_hand_alone_has_the_speed_of_the_hand() -> None:
    pose = np.zeros((26, 33, 4))
    pose[:, 11, 0], pose[:, 12, 0], pose[:, [11, 12], 3] = 50, -50, 0.4
    hand = np.zeros((26, 21, 3))
    hand[..., 0] = np.arange(26)[:, None] * 8
    found = summarise(frame_motion(pose, np.full_like(hand, np.nan), hand, 25.0))
    # 8 pixels a frame at 25 frames/s over shoulders of 100 pixels
    assert found == pytest.approx(
        dict.fromkeys(("motion_mean", "motion_p50", "motion_p95", "motion_max"), 2.0)
    )
