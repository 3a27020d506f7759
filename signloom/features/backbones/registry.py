"""The backbones of registry.yaml: their features, their expected input and the source of their weights."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic.dataclasses import dataclass

from signloom.params.clips import ClipFeaturesParams

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


def misfits(params: ClipFeaturesParams) -> Iterator[str]:
    """Yield what is wrong, beginning with the key, for every value that the network of `params` refuses."""
    spec, stack, step = BACKBONES[params.backbone], params.stack_size, params.step_size
    if spec.fixed_crop and params.crop != spec.crop:
        yield f"clip_features.crop {params.crop}: {spec.name} takes {spec.crop} only"
    if stack < spec.min_frames:
        yield f"clip_features.stack_size {stack}: {spec.name} needs at least {spec.min_frames} frames"
    if params.mode == "dense":
        stride = spec.stride
        if stride is None:
            yield f"clip_features.mode dense: {spec.name} cannot slide over a clip; use windowed"
        elif stack % stride:
            yield f"clip_features.stack_size {stack}: mode dense takes multiples of {stride}"
        elif step % stride and stride % step:
            yield f"clip_features.step_size {step}: mode dense takes multiples and divisors of {stride}"
    if said := wrong_digest(spec, params.weights, params.weights_sha256):
        yield said


def wrong_digest(spec: BackboneSpec, weights: str, sha256: str | None) -> str:
    """Return what is wrong with the digest `sha256` of published weights, or "" for nothing."""
    source = spec.weights
    if weights != "pretrained":
        return ""
    if source.package and sha256 not in (None, source.sha256):
        return (
            f"clip_features.weights_sha256 {sha256}: the package's weights of {spec.name} have "
            f"{source.sha256}; remove it, or name a file in clip_features.weights"
        )
    if not (sha256 or source.sha256):
        return (
            f"clip_features.weights {weights}: {spec.name}: no digest of its public weights is known. "
            f"Fetch {source.url}, then set clip_features.weights to the file and "
            "clip_features.weights_sha256 to its sha256"
        )
    return ""
