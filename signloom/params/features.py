"""Landmarks, pose features and their quality gates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from signloom.params.base import Section


class LandmarksParams(Section):
    """Section `landmarks`: MediaPipe Holistic."""

    model_complexity: Literal[0, 1, 2] = Field(1, description="only 1 ships in the wheel")
    max_fps: float | None = Field(
        None, gt=0, description="frames a second that are tracked at most; null: every frame"
    )
    min_detection_confidence: float = Field(0.5, ge=0, le=1)
    min_tracking_confidence: float = Field(0.5, ge=0, le=1)


class PoseParams(Section):
    """Section `pose`: raw landmarks to one smoothed body."""

    fps: float = Field(25.0, gt=0, description="frames a second after resampling")
    max_gap: int = Field(5, ge=0, description="longest gap, in resampled frames, that is interpolated")
    smoothing: float = Field(0.2, gt=0, le=1, description="a of out[t] = a x[t] + (1 - a) out[t-1]")
    scale: Literal["clip", "frame"] = Field("clip", description="one body scale a clip, or one a frame")


class QualityParams(Section):
    """Section `quality`: which frames are kept and which clips are rejected."""

    min_visibility: float = Field(0.55, ge=0, le=1, description="mean pose visibility of a kept frame")
    motion_keep: float = Field(ge=0, description="or: motion of a kept frame, shoulder widths a second")
    motion_floor: float = Field(ge=0, description="low_motion below this mean motion")
    min_detection: float = Field(0.45, ge=0, le=1, description="low_detection below this share of frames")
    min_frames: int = Field(48, ge=1, description="too_few_frames below this many kept frames")
    keep_low: bool = Field(False, description="flag low clips instead of rejecting them")
