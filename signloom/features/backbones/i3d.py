"""Inception-I3D (Carreira and Zisserman 2017, "Quo Vadis, Action Recognition?"), RGB.

Module names match the public PyTorch checkpoints, so that these load by name.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

_EPS = 1e-3
CLASSES = 400
Size = tuple[int, int, int]
_MIXED: dict[str, list[int]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding before and after an axis under TensorFlow's rule SAME; an odd place goes after it.

    The output has ceil(size / stride) places.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _pad(x: Tensor, kernel: Size, stride: Size) -> tuple[Tensor, Size]:
    """Return `x` and the padding for the convolution; uneven padding is already added to `x`."""
    pads = [same_padding(n, k, s) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    if all(before == after for before, after in pads):
        return x, (pads[0][0], pads[1][0], pads[2][0])
    return F.pad(x, [side for pad in reversed(pads) for side in pad]), (0, 0, 0)


def max_pool(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    """Return the maximum pooling of `x` (N, C, T, H, W) with padding SAME; padded places never win.

    Pooling one axis after the other gives the values of `max_pool3d` and is several times faster on a CPU.
    """
    if torch.jit.is_tracing():  # type: ignore[no-untyped-call, attr-defined]
        # other runtimes have this operator and are as fast with it
        pads = [same_padding(n, k, s) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
        padded = F.pad(x, [side for pad in reversed(pads) for side in pad], value=-torch.inf)
        return F.max_pool3d(padded, kernel, stride)
    for axis, (size, step) in enumerate(zip(kernel, stride, strict=True), start=2):
        if size > 1 or step > 1:
            x = _max_along(x, axis, size, step)
    return x


def _max_along(x: Tensor, axis: int, kernel: int, stride: int) -> Tensor:
    """Pool one axis: the maximum of `kernel` shifted views of `x`."""
    size = x.shape[axis]
    before, _ = same_padding(size, kernel, stride)
    places = torch.arange(size, device="cpu")[::stride]
    result = x[_along(axis, 0, size, stride)].clone()
    for shift in range(-before, kernel - before):
        inside = (places + shift >= 0) & (places + shift < size)
        if shift and (count := int(inside.sum())):
            first = int(inside.int().argmax())
            start = first * stride + shift
            view = x[_along(axis, start, start + (count - 1) * stride + 1, stride)]
            part = result.narrow(axis, first, count)
            torch.maximum(part, view, out=part)
    return result


def _along(axis: int, start: int, stop: int, step: int) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, slice(start, stop, step))


def pool_windows(x: Tensor, window: int) -> Tensor:
    """Average maps (N, C, T, H, W) over all of space and over each run of `window` places in time.

    Returns (N, P, C) float32, where P is T - window + 1, or 1 if there are fewer than `window` places.
    """
    places = x.float().mean((3, 4))
    return F.avg_pool1d(places, min(window, places.shape[2]), stride=1).transpose(1, 2)


class ShiftNorm(nn.Module):
    """Batch normalisation with stored statistics and a shift, but no scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` (N, C, T, H, W)."""
        return F.batch_norm(x, self.running_mean, self.running_var, None, self.bias, eps=_EPS)


class Unit3d(nn.Module):
    """Convolution with padding SAME, then normalisation and ReLU."""

    def __init__(self, inputs: int, width: int, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1)) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv3d = nn.Conv3d(inputs, width, kernel, stride, bias=False)
        # no scale can make up for small weights, so the initial weights must preserve the variance
        nn.init.kaiming_normal_(self.conv3d.weight, nonlinearity="relu")
        self.bn: nn.Module = ShiftNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, T, H, W) to (N, width, T / stride, ...), sizes rounded up."""
        padded, padding = _pad(x, self.kernel, self.stride)
        conv = F.conv3d(padded, self.conv3d.weight, self.conv3d.bias, self.stride, padding)
        return F.relu(self.bn(conv), inplace=True)

    def fuse(self) -> None:
        """Merge the normalisation into the convolution, which saves passes over memory."""
        norm = self.bn
        if not isinstance(norm, ShiftNorm):
            return
        scale = (norm.running_var.double() + _EPS).rsqrt()
        weight = self.conv3d.weight.detach()
        shift = norm.bias.detach().double() - norm.running_mean.double() * scale
        self.conv3d.weight = nn.Parameter((weight.double() * scale.view(-1, 1, 1, 1, 1)).to(weight.dtype))
        self.conv3d.bias = nn.Parameter(shift.to(weight.dtype))
        self.bn = nn.Identity()


class Mixed(nn.Module):
    """Inception block: four branches, concatenated along the channels; `widths` as in i3d.yaml."""

    def __init__(self, inputs: int, widths: list[int]) -> None:
        super().__init__()
        one, reduce_a, three_a, reduce_b, three_b, pooled = widths
        cube = (3, 3, 3)
        self.b0 = Unit3d(inputs, one)
        self.b1a, self.b1b = Unit3d(inputs, reduce_a), Unit3d(reduce_a, three_a, cube)
        self.b2a, self.b2b = Unit3d(inputs, reduce_b), Unit3d(reduce_b, three_b, cube)
        self.b3b = Unit3d(inputs, pooled)
        self.width = one + three_a + three_b + pooled

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, T, H, W) to (N, width, T, H, W)."""
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1))
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)]
        return torch.cat(branches, 1)


class _Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1024, CLASSES, 1)


class InceptionI3d(nn.Module):
    """Inception-I3D without the final softmax: 12,704,544 values in 230 variables."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3d(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = Unit3d(64, 64)
        self.Conv3d_2c_3x3 = Unit3d(64, 192, (3, 3, 3))
        width = 192
        for name, widths in _MIXED.items():
            block = Mixed(width, widths)
            self.add_module(name, block)
            width = block.width
        self.logits = _Logits()

    def maps(self, x: Tensor) -> Tensor:
        """Return the last maps (N, 1024, T / 8, H / 32, W / 32), sizes rounded up.

        `x` is (N, 3, T, H, W) in -1 to 1. If T is a multiple of 8, place p in time is centred on frame
        8 p + 5. Other lengths may get more padding in front, which moves their places up to 3 frames earlier.
        """
        return self.third(self.second(self.first(x)))

    def first(self, x: Tensor) -> Tensor:
        """Return the maps after the first halving of time, up to the second."""
        x = max_pool(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        return self._mixed(max_pool(x, (1, 3, 3), (1, 2, 2)), "Mixed_3")

    def second(self, x: Tensor) -> Tensor:
        """Return the maps after the second halving of time, up to the third."""
        return self._mixed(max_pool(x, (3, 3, 3), (2, 2, 2)), "Mixed_4")

    def third(self, x: Tensor) -> Tensor:
        """Return the maps after the third halving of time."""
        return self._mixed(max_pool(x, (2, 2, 2), (2, 2, 2)), "Mixed_5")

    def _mixed(self, x: Tensor, prefix: str) -> Tensor:
        for name in _MIXED:
            if name.startswith(prefix):
                x = self.get_submodule(name)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (N, P, 1024) float32 before the class layer, for frames as in `maps`.

        Maps are averaged over 2 places in time and all of space (7 x 7 at 224 pixels). P is ceil(T / 8) - 1,
        at least 1.
        """
        return pool_windows(self.maps(x), 2)

    def fuse(self) -> None:
        """Merge every normalisation into its convolution for inference; the state then has fewer tensors."""
        for module in self.modules():
            if isinstance(module, Unit3d):
                module.fuse()
