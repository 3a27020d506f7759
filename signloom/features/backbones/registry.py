"""The backbones of registry.yaml: their features, their expected input and the source of their weights."""

from pathlib import Path

import yaml
from pydantic.dataclasses import dataclass

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class WeightsSource:
    """The source of a backbone's pretrained weights, and how the file is verified.

    Either `package` is given (an installed package; `file` is the path inside it) or `url` (a download;
    `file` is its name). `sha256` is the whole digest or its first eight digits, as in the names of
    torchvision's files. It is empty if no digest is published; then the user must set `weights_sha256`.
    `tensors_sha256` is the digest of the converted tensors in the cache (`convert.tensors_digest`).
    """

    file: str
    text: str
    sha256: str
    package: str = ""
    url: str = ""
    tensors_sha256: str = ""


@dataclass(frozen=True)
class BackboneSpec:
    """The features and the expected input of a backbone.

    `mean` and `std` apply to RGB in 0 to 1. `min_frames` is the shortest window that the network allows.
    `resize` (shorter side) and `crop` are the pixels that its weights were trained with; with `fixed_crop`,
    no other crop works. `stride` is the number of frames between two of `Backbone.positions`, or None if the
    network cannot slide over a clip.
    """

    name: str
    dim: int
    mean: Triple
    std: Triple
    min_frames: int
    resize: int
    crop: int
    weights: WeightsSource
    stride: int | None = None
    fixed_crop: bool = False


BACKBONES: dict[str, BackboneSpec] = {
    name: BackboneSpec(name=name, **entry)
    for name, entry in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8")).items()
}
