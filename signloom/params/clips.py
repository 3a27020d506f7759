"""Clip features: windows of frames through a video network, plain or augmented."""

from typing import Literal

from pydantic import Field

from signloom.params.base import LARGEST_SEED, Section


class ClipFeaturesParams(Section):
    """Section `clip_features`."""

    backbone: Literal["i3d", "i3d_r50", "s3d", "r3d_18", "videomae", "resnet18"]
    weights: str = Field(
        min_length=1,
        description="pretrained: the backbone's published weights; random: for tests; or the path of a file",
    )
    weights_sha256: str | None = Field(
        pattern="^[0-9a-f]{64}$", description="SHA-256 of the weight file, 64 lowercase hex digits"
    )
    mode: Literal["windowed", "dense"] = Field(
        description="windowed: compute every window from scratch; dense: slide the network over the clip",
    )
    stack_size: int = Field(ge=1, description="frames per window")
    step_size: int = Field(ge=1, description="frames from one window to the next")
    extraction_fps: float = Field(gt=0, description="frames per second after resampling")
    resize: int = Field(ge=16, description="shorter side in pixels before the centre crop")
    crop: int = Field(ge=16, description="side in pixels of the square that the network sees")
    batch_size: int = Field(ge=1, description="windows computed at once; memory grows with it")
    precision: Literal["fp32", "bf16"]
    seed: int = Field(ge=0, le=LARGEST_SEED, description="seed of random weights")


class FramesParams(Section):
    """Section `frames`: augmented copies of training clips, made before the video network."""

    level: Literal["none", "light", "medium", "heavy"]
    copies: int = Field(ge=0, description="augmented copies of each training clip; 0 makes none")
    seed: int = Field(ge=0, le=LARGEST_SEED)
