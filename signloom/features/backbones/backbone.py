"""A loaded network that turns frames into feature rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from signloom.errors import SignloomError
from signloom.features.backbones.registry import BACKBONES, BackboneSpec, misfits
from signloom.features.backbones.video_networks import build, fill
from signloom.features.backbones.weights import find_weights
from signloom.params.clips import ClipFeaturesParams
from signloom.precision import autocast

# measured: bf16 convolutions return channels-last output, and converting it takes as long as the convolution
_LAYOUTS = {"fp32": torch.contiguous_format, "bf16": torch.channels_last_3d}


@dataclass(frozen=True)
class Backbone:
    """A network in inference mode, with the name and digest of its weights (empty for random weights)."""

    spec: BackboneSpec
    network: nn.Module
    weights_name: str
    weights_sha256: str
    device: torch.device
    precision: str

    def rows(self, frames: Tensor) -> Tensor:
        """Return one feature row per window, (N, dim) float32 on the CPU.

        `frames` is (N, 3, T, H, W) RGB float32 in 0 to 1, on any device. Raises SignloomError for another
        shape, for fewer frames than `spec.min_frames` and for picture sizes that the network does not accept.
        """
        return self._features(frames).mean(1)

    def of_windows(self, windows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.float32]:
        """Return `rows` of `windows`, each T pictures (H, W, 3)."""
        return self.rows(to_tensor(windows, self.device)).numpy()

    def positions(self, frames: Tensor) -> Tensor:
        """Return the features (N, P, dim) float32 by position in time; `rows` returns their mean over P.

        Positions are `spec.stride` frames apart. P is ceil(T / 8) - 1, at least 1, for `i3d` and T for
        `resnet18`. Raises SignloomError as `rows` does, and if the network cannot slide.
        """
        if self.spec.stride is None:
            raise SignloomError(f"{self.spec.name} cannot slide over a clip; use clip_features.mode windowed")
        return self._features(frames)

    def check(self, shape: torch.Size) -> None:
        """Raise SignloomError if the network does not accept windows of `shape` (N, 3, T, H, W)."""
        if len(shape) != 5 or shape[1] != 3:
            raise SignloomError(f"{self.spec.name}: expected (N, 3, T, H, W), not {tuple(shape)}")
        frame_count, *picture = shape[2:]
        if frame_count < self.spec.min_frames:
            raise SignloomError(
                f"{self.spec.name} needs at least {self.spec.min_frames} frames, not {frame_count}"
            )
        if self.spec.fixed_crop and picture != [self.spec.crop] * 2:
            raise SignloomError(
                f"{self.spec.name} takes pictures of {self.spec.crop} x {self.spec.crop} only"
            )

    def _features(self, frames: Tensor) -> Tensor:
        self.check(frames.shape)
        frames = frames.to(self.device).contiguous(memory_format=_LAYOUTS[self.precision])
        mean = torch.tensor(self.spec.mean, device=self.device).view(1, 3, 1, 1, 1)
        std = torch.tensor(self.spec.std, device=self.device).view(1, 3, 1, 1, 1)
        # on a GPU: use the same kernels in every run, and do not silently round fp32 to 10 bits
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), autocast(self.device, self.precision), exact:
            features: Tensor = self.network((frames - mean) / std)
        return features.float().cpu()


def load_backbone(params: ClipFeaturesParams, device: torch.device | None = None) -> Backbone:
    """Build the network that `params` names, with its weights, on `device` (default: a GPU if there is one).

    Raises SignloomError if the weights are missing or not the expected ones, or if the network does not
    accept `params.crop` or `params.stack_size`.
    """
    spec = BACKBONES[params.backbone]
    for said in misfits(params):
        raise SignloomError(said)
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build(spec.name, params.seed)
    found = find_weights(spec, params.weights, params.weights_sha256)
    if params.weights != "random":
        fill(network, found.tensors(), f"clip_features.weights {params.weights}")
    network.fuse()
    network.eval().requires_grad_(False).to(device)
    for weight in network.parameters():
        if weight.ndim == 5:
            weight.data = weight.data.contiguous(memory_format=_LAYOUTS[params.precision])
    return Backbone(spec, network, found.name, found.sha256, device, params.precision)


def to_tensor(windows: Sequence[Sequence[NDArray[np.uint8]]], device: torch.device) -> Tensor:
    """Return `windows`, each T pictures (H, W, 3), as float32 (N, 3, T, H, W) in 0 to 1."""
    stacked = np.stack(list(chain.from_iterable(windows)))
    pictures = torch.from_numpy(stacked.reshape(len(windows), -1, *stacked.shape[1:])).to(device)
    return pictures.permute(0, 4, 1, 2, 3).float().div_(255)
