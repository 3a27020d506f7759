"""Cut a stream of landmarks into passages of signing, by motion and by hands at rest, in bounded memory."""

from collections import deque
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from signloom.features.pose import layout
from signloom.features.pose.pose_features import landmarks_to_features
from signloom.features.pose.raw_clip import RawClip
from signloom.features.pose.resample import time_grid
from signloom.gate import LONGEST_GAP_S
from signloom.inference.video import TrackedFrame, raw_clip
from signloom.params.features import GateParams, PoseParams

PAUSE_S = 0.5
PRE_ROLL_S = 0.2
# motion is averaged over this time, because that of a single frame is mostly noise
SMOOTH_S = 0.2
# a passage continues above this share of the floor: slow signs are below the floor for longer than a pause
STILL = 0.5
# hands rest at the hips or below; in the demo, no hand that signs comes nearer than 0.18 torsos
REST = 0.1


class Passage(NamedTuple):
    """A passage in seconds, and why it ended: a pause, or more rows of features than a network reads."""

    start_s: float
    end_s: float
    ended: Literal["pause", "long"]


class Passages:
    """Tracked frames of one stream, of which only the last are kept: `push` each of them.

    Motion above `quality.motion_floor` opens a passage, which starts `pre_roll_s` earlier; `pause_s` without
    motion closes it, and it ends with the last frame that moved. A gap of more than a minute between two
    frames closes it, too. Hands at rest do not move. With `split`, a passage that makes more than `longest`
    rows of features is cut where it moves least in its second half; without, its first frames are dropped.
    """

    def __init__(
        self,
        pose: PoseParams,
        quality: GateParams,
        longest: int,
        *,
        pause_s: float = PAUSE_S,
        pre_roll_s: float = PRE_ROLL_S,
        split: bool = False,
    ) -> None:
        self._pose, self._quality, self._longest = pose, quality, longest
        self._pause_s, self._pre_roll_s, self._split = pause_s, pre_roll_s, split
        self._shape: tuple[int, ...] = (0, 0)
        self._motion: deque[tuple[float, float]] = deque()  # time and motion of the kept frames
        self.rows: deque[TrackedFrame] = deque()
        self.begun_s: float | None = None  # of the open passage
        self.moved_s = -np.inf
        self._gap = False  # whether one lies before the last frame

    def push(self, row: TrackedFrame, shape: tuple[int, ...]) -> Passage | None:
        """Take the next frame, of pictures of `shape`; return the passage that it ends, if any.

        The frames of that passage are kept until the next push.
        """
        self._shape = shape
        self._gap = bool(self.rows) and row.time_s - self.rows[-1].time_s > LONGEST_GAP_S
        self.rows.append(row)
        self._follow(row)
        if ended := self._too_long():
            return ended
        self._roll()
        return self._after_pause(row.time_s)

    def fits(self, last_s: float) -> bool:
        """Return whether the kept frames up to `last_s` make at most `longest` rows of features."""
        return self._fit(self.rows[0].time_s, last_s)

    def window(self, from_s: float = -np.inf, to_s: float = np.inf) -> RawClip:
        """Return the kept frames shown from `from_s` to `to_s`, both included."""
        return raw_clip([row for row in self.rows if from_s <= row.time_s <= to_s], self._shape)

    def _fit(self, first_s: float, last_s: float) -> bool:
        fps = self._pose.fps
        if (last_s - first_s) * fps > self._longest + 1:  # a grid over hours would fill the memory
            return False
        return len(time_grid(np.array([first_s, last_s]), fps)) <= self._longest

    def _follow(self, row: TrackedFrame) -> None:
        """Check whether the person moves, and open a passage if so."""
        motion = 0.0
        if not self._gap and not hands_rest(row.landmarks):
            # motion needs two frames, and a slow camera shows fewer in that time
            recent_s = min(row.time_s - SMOOTH_S, self.rows[max(len(self.rows) - 2, 0)].time_s)
            motion = recent_motion(self.window(recent_s), self._pose, self._quality)
        self._motion.append((row.time_s, motion))
        if motion < self._quality.motion_floor * (1.0 if self.begun_s is None else STILL):
            return
        self.moved_s = row.time_s
        if self.begun_s is None:
            self.begun_s = row.time_s - self._pre_roll_s

    def _too_long(self) -> Passage | None:
        """Return the first part of the open passage if it is to be split, and go on with the rest."""
        if not self._split or self.begun_s is None:
            return None
        begun_s = self.begun_s
        first_s = max(begun_s, self.rows[0].time_s)  # the pre-roll may reach beyond the kept frames
        if self._fit(first_s, self.moved_s):
            return None
        halfway = (first_s + self.moved_s) / 2
        later = [(motion, at_s) for at_s, motion in self._motion if halfway <= at_s < self.moved_s]
        # no frame may lie in the second half of a window of two frames
        self.begun_s = min(later)[1] if later else self.moved_s
        return Passage(begun_s, self.begun_s, "long")

    def _after_pause(self, time_s: float) -> Passage | None:
        """Return the open passage and close it if a pause or a gap has ended it."""
        if self.begun_s is None or (time_s - self.moved_s < self._pause_s and not self._gap):
            return None
        begun_s, self.begun_s = self.begun_s, None
        return Passage(begun_s, self.moved_s, "pause")

    def _roll(self) -> None:
        """Drop the oldest frames until the passage, or the whole window without one, fits."""
        last = self.rows[-1].time_s if self.begun_s is None else self.moved_s
        while not self.fits(last):
            self.rows.popleft()
        while self._motion[0][0] < self.rows[0].time_s:
            self._motion.popleft()


def recent_motion(raw: RawClip, pose: PoseParams, quality: GateParams) -> float:
    """Return the mean motion of a short clip in shoulder widths a second, 0 if nobody is seen to move."""
    return float(np.nan_to_num(landmarks_to_features(raw, pose, quality).diagnostics["motion_mean"]))


def hands_rest(landmarks: NDArray[np.float32]) -> bool:
    """Return whether both wrists of a row (1662,) are at the hips or below; False without a pose."""
    y = landmarks[layout.RAW_PARTS["pose"]].reshape(layout.POSE_POINTS, 4)[:, 1]
    hips, shoulders = y[list(layout.HIPS)].mean(), y[list(layout.SHOULDERS)].mean()
    return bool(y[list(layout.WRISTS.values())].min() > hips - REST * (hips - shoulders))
