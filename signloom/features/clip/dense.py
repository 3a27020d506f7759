"""Mode dense: a network slides over a clip once, while mode windowed computes every window from scratch.

Inception-I3D halves time three times. For a position every 4 frames instead of every 8, only the layers after
the last halving run twice: on the even and on the odd places. The same trick at earlier halvings gives a
position every 2 frames or every frame. These are the fragments of Giusti et al. 2013 ("Fast image scanning
with deep max-pooling convolutional neural networks"), applied to time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from signloom.errors import SignloomError
from signloom.features.backbones.backbone import Backbone, to_tensor
from signloom.features.backbones.i3d import InceptionI3d
from signloom.features.backbones.registry import misfits
from signloom.features.backbones.video_networks import I3d
from signloom.params.clips import ClipFeaturesParams

Picture = NDArray[np.uint8]
# a position of I3D covers 8 frames and sees 44 before and 47 after them; odd places cut off up to 8 more
_BEFORE, _AFTER = 48, 56


class SlidingI3d(nn.Module):
    """Inception-I3D with a position every `hop` frames (1, 2, 4 or 8)."""

    def __init__(self, network: InceptionI3d, hop: int) -> None:
        super().__init__()
        self.network = network
        self._stages: list[tuple[Callable[[Tensor], Tensor], bool]] = [
            (network.first, hop <= 1),
            (network.second, hop <= 2),
            (network.third, hop <= 4),
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, P, 1024) of frames (N, 3, T, H, W) in -1 to 1, where T is a multiple of 8.

        P is (T - 8) / hop + 1, and position p covers the 8 frames from p * hop on.
        """
        return self._slide(x, 0).transpose(1, 2)

    def _slide(self, x: Tensor, depth: int) -> Tensor:
        if depth == len(self._stages):
            return x.float().mean((3, 4))
        stage, split = self._stages[depth]
        even = self._slide(stage(_whole_pairs(x)), depth + 1)
        odd_places = _whole_pairs(x[:, :, 1:])
        if not split or not odd_places.shape[2]:
            return even
        odd = self._slide(stage(odd_places), depth + 1)
        both = min(even.shape[2], odd.shape[2])
        joined = torch.stack([even[:, :, :both], odd[:, :, :both]], 3).flatten(2)
        return torch.cat([joined, even[:, :, both : both + 1]], 2)


def _whole_pairs(x: Tensor) -> Tensor:
    """Return `x` (N, C, T, H, W) without an unpaired last place, so that padding stays the same."""
    return x[:, :, : x.shape[2] // 2 * 2]


class Slider:
    """Computes the rows of clips from streams of frames."""

    def __init__(self, backbone: Backbone, params: ClipFeaturesParams) -> None:
        """Prepare `backbone`; raises SignloomError, naming the key, if it cannot slide with `params`."""
        for said in misfits(params):
            raise SignloomError(said)
        stack, step = params.stack_size, params.step_size
        self._stride = backbone.spec.stride or 1
        self._hop = min(step, self._stride)
        self._network = backbone
        self._before = self._after = 0
        places = stack // self._stride
        weights = np.ones(places, np.float32)
        if isinstance(backbone.network, I3d):
            self._network = replace(backbone, network=SlidingI3d(backbone.network.model, self._hop).eval())
            self._before, self._after = _BEFORE, _AFTER
            # the network's own head averages pairs of neighbours and then averages the pairs
            weights[1:-1] = 2
        self._weights = weights / weights.sum()
        core = max(stack, params.batch_size * stack) // self._stride * self._stride
        self._block = self._before + core + self._after
        self._step = step

    def rows(self, pictures: Iterable[Picture]) -> Iterator[NDArray[np.float32]]:
        """Yield the rows (n, dim) of a clip in parts, from its `pictures` (H, W, 3).

        The caller must complete the last window with repeated frames, and cut off any rows after it.
        """
        apart, every = self._stride // self._hop, self._step // self._hop
        span = (len(self._weights) - 1) * apart + 1
        held: NDArray[np.float32] | None = None
        skip = 0
        for run in self._positions(iter(pictures)):
            held = run if held is None else np.concatenate([held, run])
            ready = max(0, (len(held) - skip - span) // every + 1)
            starts = skip + np.arange(ready) * every
            if ready:
                yield sum(
                    (weight * held[starts + place * apart] for place, weight in enumerate(self._weights)),
                    start=np.zeros((ready, held.shape[1]), np.float32),
                )
            done = min(skip + ready * every, len(held))
            skip = skip + ready * every - done
            held = held[done:]

    def _positions(self, pictures: Iterator[Picture]) -> Iterator[NDArray[np.float32]]:
        """Yield the positions (n, dim) of the whole clip, one every hop, block by block with context."""
        frames: list[Picture] = []
        first = 0  # start of the next position, in frames from the beginning of `frames`
        for picture in pictures:
            if len(frames) == self._block:
                until = self._block - self._after
                yield self._run(frames)[first // self._hop : until // self._hop]
                first = min(until, self._before)
                frames = frames[until - first :]
            frames.append(picture)
        frames += [frames[-1]] * (-len(frames) % self._stride)
        yield self._run(frames)[first // self._hop :]

    def _run(self, frames: list[Picture]) -> NDArray[np.float32]:
        return self._network.positions(to_tensor([frames], self._network.device))[0].numpy()
