"""Landmarks, pose features and their quality gates, and features from tables of positions."""

from typing import Literal

from pydantic import ConfigDict, Field

from signloom.params.base import Section

Group = Literal["hands", "nose", "hands_clip", "nose_clip", "between", "velocity", "acceleration", "speed"]


class LandmarksParams(Section):
    """Section `landmarks`: MediaPipe Holistic."""

    model_complexity: int = Field(ge=0, le=2, description="MediaPipe's wheel contains only model 1")
    max_fps: float | None = Field(
        gt=0, description="frames a second that are tracked at most; null: every frame"
    )
    min_detection_confidence: float = Field(ge=0, le=1)
    min_tracking_confidence: float = Field(ge=0, le=1)


class PoseParams(Section):
    """Section `pose`: from raw landmarks to one smoothed body."""

    fps: float = Field(gt=0, description="frames per second after resampling")
    max_gap: int = Field(ge=0, description="longest gap to interpolate, in resampled frames")
    smoothing: float = Field(gt=0, le=1, description="factor a in out[t] = a x[t] + (1 - a) out[t-1]")
    scale: Literal["clip", "frame"] = Field(description="one body scale per clip or per frame")


class GateParams(Section):
    """The part of section `quality` that judges frames and clips; a bundle carries it to judge alike."""

    # a stage that is run by hand gets the whole section
    model_config = ConfigDict(extra="ignore")

    min_visibility: float = Field(
        ge=0, le=1, description="keep frames in which the upper body has at least this mean visibility"
    )
    motion_keep: float = Field(
        ge=0, description="keep frames with more motion than this too, in shoulder widths per second"
    )
    motion_floor: float = Field(
        ge=0, description="low_motion: least mean motion of a clip, in shoulder widths per second"
    )
    min_detection: float = Field(
        ge=0, le=1, description="low_detection: least share of frames with a pose or a hand"
    )
    min_seconds: float = Field(ge=0, description="too_few_frames: least length of the kept frames in seconds")
    keep_low: bool = Field(description="flag clips that fail a gate instead of rejecting them")


class QualityParams(GateParams):
    """Section `quality`: which frames are kept, and which clips are rejected, and how many may be."""

    model_config = ConfigDict(extra="forbid")

    max_reject_ratio: float = Field(
        ge=0, le=1, description="stop before training if the gates reject more than this share of the clips"
    )


class PositionsParams(Section):
    """Section `positions`: columns from a table of positions; `position_features` makes them."""

    groups: list[Group] = Field(
        description="groups of columns, in this order; empty: feature rows are taken as they are"
    )
    span: int = Field(ge=1, description="frames before and after a frame that give its velocity")
