"""Every backbone with random weights, at sizes that keep a test short."""

from __future__ import annotations

import pytest
import torch
from demo_params import section
from torch import Tensor
from torchvision_ops import import_torchvision

from signloom.features.backbones.backbone import Backbone, load_backbone
from signloom.params.clips import ClipFeaturesParams

# frames and side in pixels
SMALL = {
    "i3d": (9, 32),
    "i3d_r50": (8, 32),
    "s3d": (14, 32),
    "r3d_18": (2, 32),
    "videomae": (1, 224),
    "resnet18": (2, 32),
}


def load(name: str, **more: object) -> Backbone:
    if name not in ("i3d", "videomae") and not import_torchvision():
        pytest.skip("torchvision is not installed; `make test` brings it")
    frames, side = SMALL[name]
    given = {"backbone": name, "weights": "random", "crop": side, "stack_size": frames, **more}
    return load_backbone(section(ClipFeaturesParams, **given), torch.device("cpu"))


def clip(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))
