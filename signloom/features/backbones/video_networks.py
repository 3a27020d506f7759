"""The networks of the registry, with one interface: they map normalised frames to features by position."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from signloom.errors import SignloomError
from signloom.features.backbones.convert import i3d_from_pytorch
from signloom.features.backbones.i3d import InceptionI3d, pool_windows

_VIDEOMAE_FRAMES = 16


class Network(nn.Module):
    """`forward` maps normalised frames (N, 3, T, H, W) to features (N, P, dim) float32, P >= 1."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load the state of the whole model; raises RuntimeError or KeyError if names or shapes differ."""
        self.model.load_state_dict(dict(tensors))

    def fuse(self) -> None:
        """Merge layers for inference if that is exact and faster; weights cannot be loaded afterwards."""


class I3d(Network):
    """Inception-I3D; see `signloom.features.backbones.i3d`."""

    def __init__(self) -> None:
        super().__init__(InceptionI3d())

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load a converted or a public PyTorch state of the model."""
        self.model.load_state_dict(i3d_from_pytorch(tensors))

    def fuse(self) -> None:
        """Merge each normalisation into its convolution."""
        self.model.fuse()

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, P, 1024)."""
        features: Tensor = self.model(x)
        return features


class I3dR50(Network):
    """PyTorchVideo's I3D ResNet-50: the features that its head pools (4 x 7 x 7) before the class layer."""

    def __init__(self) -> None:
        super().__init__(_import("pytorchvideo.models.hub", "pytorchvideo").i3d_r50(pretrained=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, P, 2048)."""
        for block in self.model.blocks[:-1]:
            x = block(x)
        return pool_windows(x, 4)


class S3d(Network):
    """torchvision's S3D: the features that its head pools (2 x 7 x 7) before the class layer."""

    def __init__(self) -> None:
        super().__init__(_import("torchvision.models.video", "torchvision").s3d())

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, P, 1024)."""
        return pool_windows(self.model.features(x), 2)


class R3d18(Network):
    """torchvision's ResNet3D-18: the mean over space and time before the class layer."""

    def __init__(self) -> None:
        super().__init__(_import("torchvision.models.video", "torchvision").r3d_18())

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 1, 512)."""
        model = self.model
        for block in (model.stem, model.layer1, model.layer2, model.layer3, model.layer4):
            x = block(x)
        return x.float().mean((2, 3, 4)).unsqueeze(1)


class Resnet18(Network):
    """torchvision's ResNet-18, applied to every frame separately."""

    def __init__(self) -> None:
        super().__init__(_import("torchvision.models", "torchvision").resnet18())

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, T, 512)."""
        model, windows = self.model, len(x)
        x = model.maxpool(model.relu(model.bn1(model.conv1(x.transpose(1, 2).flatten(0, 1)))))
        for block in (model.layer1, model.layer2, model.layer3, model.layer4):
            x = block(x)
        return x.float().mean((2, 3)).view(windows, -1, x.shape[1])


class VideoMae(Network):
    """VideoMAE base of transformers: mean of the patch tokens of 16 frames, evenly spread over the window."""

    def __init__(self) -> None:
        transformers = _import("transformers", "transformers")
        self.config = transformers.VideoMAEConfig()
        super().__init__(transformers.VideoMAEModel(self.config))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load a state of the model, with or without a head; names of older releases work too."""
        self.model, told = type(self.model).from_pretrained(
            None, config=self.config, state_dict=dict(tensors), output_loading_info=True
        )
        if lacking := sorted(map(str, told["missing_keys"])) + sorted(map(str, told["mismatched_keys"])):
            raise KeyError(f"{len(lacking)} tensors are missing, first {lacking[0]}")

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 1, 768)."""
        picked = torch.linspace(0, x.shape[2] - 1, _VIDEOMAE_FRAMES).round().long()
        tokens: Tensor = self.model(x[:, :, picked].transpose(1, 2)).last_hidden_state
        return tokens.float().mean(1, keepdim=True)


_NETWORKS: dict[str, Callable[[], Network]] = {
    "i3d": I3d,
    "i3d_r50": I3dR50,
    "s3d": S3d,
    "r3d_18": R3d18,
    "videomae": VideoMae,
    "resnet18": Resnet18,
}


def build(name: str, seed: int) -> Network:
    """Return the network `name`, initialised from `seed`; the global generator does not change."""
    # initialisers draw from the global generator, so seed it here and restore it afterwards
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return _NETWORKS[name]()


def fill(network: Network, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Load `tensors` into `network`; raises SignloomError if names or shapes differ."""
    try:
        with torch.random.fork_rng(devices=[]):  # some loaders initialise before they load
            network.load(tensors)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error.args[0]).split())[:300]
        raise SignloomError(f"{origin} does not fit {type(network).__name__}: {reason}") from error


def _import(module: str, package: str) -> Any:
    target = "setup" if package == "transformers" else "backbones"
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # RuntimeError: a build of torchvision for another torch
        reason = str(error).splitlines()[0]
        raise SignloomError(f"{package} does not work here ({reason}); run make {target}") from error
