"""Landmarks, pose features and their quality gates, and features from tables of positions."""

import itertools
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, model_validator

from signloom.params.base import Section

Group = Literal["hands", "nose", "hands_clip", "nose_clip", "between", "velocity", "acceleration", "speed"]

Column = Annotated[int, Field(ge=0)]
Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class LandmarksParams(Section):
    """Section `landmarks`: MediaPipe Holistic."""

    engine: Literal["signloom", "mediapipe"] = Field(
        description="who runs MediaPipe's models: Signloom's own steps, or MediaPipe's graph, which is slower"
    )
    model_complexity: int = Field(ge=0, le=2, description="MediaPipe's wheel contains only model 1")
    max_fps: float | None = Field(
        gt=0, description="frames a second that are tracked at most; null: every frame"
    )
    min_detection_confidence: float = Field(ge=0, le=1)
    min_tracking_confidence: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _engine_has_the_model(self) -> Self:
        if self.engine == "signloom" and self.model_complexity != 1:
            raise ValueError("model_complexity: expected 1, which engine signloom needs, or engine mediapipe")
        return self


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


class Point(Section):
    """A point in feature rows."""

    name: str = Field(min_length=1)
    columns: list[Column] = Field(
        min_length=2, max_length=3, description="of x, y and, with depth, z; from 0"
    )


class ColumnLayout(NamedTuple):
    """Columns of feature rows: directions in space with their velocities, then blocks of others.

    Half of the directions are velocities. Each block of others is followed by as many velocities.
    """

    vectors: int = 0
    dimensions: int = 3  # of a direction: x, y and, with depth, z
    others: tuple[int, ...] = ()


class PositionsParams(Section):
    """Section `positions`: columns made of the positions of points, from feature rows or from a table."""

    groups: list[Group] = Field(
        description="groups of columns, in this order, from a table of hand and nose positions; "
        "empty: feature rows are taken as they are, or by `points` and `others`"
    )
    span: int = Field(ge=1, description="rows before and after a row that give its velocity")
    points: list[Point] = Field(description="points in feature rows; y is the vertical axis")
    centre: str | None = Field(
        min_length=1, description="point that the others are relative to; null: they stay absolute"
    )
    lengths: list[Pair] = Field(
        description="pairs of points; the sum of their distances, each the median over the clip, is 1"
    )
    bones: list[Pair] = Field(description="pairs of points; the way from one to the other is given too")
    others: list[Column] = Field(
        description="other columns of feature rows that are kept, such as the bend of a finger"
    )
    normalise_by: Literal["none", "signer"] = Field(
        description="signer: standardise the columns by all clips of the same signer, which needs no labels"
    )
    every: int = Field(ge=1, description="of feature rows with `points` or `others`, take every n-th")

    @property
    def made(self) -> bool:
        """Whether columns are made of the columns of feature rows."""
        return bool(self.points or self.others)

    @property
    def layout(self) -> ColumnLayout:
        """What the columns that are made of feature rows are."""
        dimensions = len(self.points[0].columns) if self.points else 0
        moving = (len(self.points) - (self.centre is not None) + len(self.bones)) * dimensions
        if self.normalise_by == "signer":  # each column has a unit of its own
            return ColumnLayout(0, dimensions, (moving, len(self.others)))
        return ColumnLayout(2 * moving, dimensions, (len(self.others),))

    @property
    def width(self) -> int:
        """The number of columns that are made of feature rows."""
        return self.layout.vectors + 2 * sum(self.layout.others)

    @model_validator(mode="after")
    def _points_are_known(self) -> Self:
        if self.made and self.groups:
            raise ValueError("groups: expected [] beside points and others, which describe feature rows")
        names = [point.name for point in self.points]
        if len(set(names)) < len(names):
            raise ValueError("points: a name occurs twice; name each point once")
        if len({len(point.columns) for point in self.points}) > 1:
            raise ValueError("points: some have two columns and others three; give each as many")
        named = [*filter(None, [self.centre]), *itertools.chain(*self.lengths, *self.bones)]
        if unknown := [name for name in named if name not in names]:
            known = f"one of {', '.join(names)}" if names else "none, because points is empty"
            raise ValueError(f"{unknown[0]!r} is not the name of a point; expected {known}")
        if self.centre and len(self.points) == 1:
            raise ValueError("centre: one point cannot be relative to itself; expected null")
        if not self.made and self.every > 1:
            raise ValueError("every: it needs points or others")
        if self.normalise_by == "signer" and not (self.made or self.groups):
            raise ValueError("normalise_by: signer needs points, others or groups; expected none")
        return self
