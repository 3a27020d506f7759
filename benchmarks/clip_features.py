"""Measure clip features of real videos in rows per second: modes windowed and dense, and a plain loop.

    python -m benchmarks.clip_features --videos data/demo/videos

The plain loop is a simple first draft: it stacks the video, resizes every whole picture with PIL, and runs
the network on one window after another in fp32. I3D has its real weights, the others seeded random weights.
Every figure includes decoding. The last column is the difference from the plain loop's rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks import say_ratio
from signloom.errors import SignloomError
from signloom.features.backbones.backbone import Backbone, load_backbone
from signloom.features.backbones.compiled import VideoNetwork, open_network
from signloom.features.backbones.registry import BACKBONES
from signloom.features.clip.clip_features import extract
from signloom.features.partial_shard import clip_tasks
from signloom.params.clips import ClipFeaturesParams
from signloom.params.load import load_params
from signloom.video.decode import read_frames
from signloom.video.windows import window_count


def plain_loop(video: Path, backbone: Backbone, params: ClipFeaturesParams) -> np.ndarray:
    """Return the rows of a clip whose frame rate is the extraction rate."""
    pictures = []
    for frame in read_frames(video):
        height, width = frame.image.shape[:2]
        scale = params.resize / min(height, width)
        size = (round(width * scale), round(height * scale))
        picture = np.asarray(Image.fromarray(frame.image).resize(size, Image.Resampling.BOX))
        top, left = (size[1] - params.crop) // 2, (size[0] - params.crop) // 2
        pictures.append(picture[top : top + params.crop, left : left + params.crop])
    clip = torch.from_numpy(np.stack(pictures)).permute(3, 0, 1, 2).float() / 255
    rows = []
    for row in range(window_count(len(pictures), params.stack_size, params.step_size)):
        places = torch.arange(params.stack_size) + row * params.step_size
        rows.append(backbone.rows(clip[:, places.clamp(max=len(pictures) - 1)][None]))
    return torch.cat(rows).numpy()


def ours(videos: list[Path], network: VideoNetwork, params: ClipFeaturesParams) -> list[np.ndarray]:
    """Return the rows of every clip as the stage makes them."""
    with tempfile.TemporaryDirectory() as folder:
        clips = [{"clip_id": str(v), "video_path": v, "start_s": None, "end_s": None} for v in videos]
        tasks = clip_tasks(clips, Path(folder))
        extract(tasks, network, params, "benchmark")
        return [np.fromfile(t.rows_file, np.float32).reshape(-1, network.spec.dim) for t in tasks]


def seconds(work: object) -> tuple[float, list[np.ndarray]]:
    """Return the processor seconds of `work()` and its result."""
    started = time.process_time()
    answer = work()  # type: ignore[operator]
    return time.process_time() - started, answer


def apart(rows: np.ndarray, other: np.ndarray) -> str:
    """Return the mean cosine and the mean ratio of norms of `other` to `rows` as text."""
    lengths, others = (np.linalg.norm(values, axis=1) for values in (rows, other))
    cosine = (rows * other).sum(1) / lengths / others
    return f"cosine {cosine.mean():.4f} (least {cosine.min():.4f}), length x {(others / lengths).mean():.3f}"


def measure(name: str, videos: list[Path], crop: int, resize: int) -> None:
    """Print the figures of one backbone."""
    spec = BACKBONES[name]
    if spec.fixed_crop:
        crop, resize = spec.crop, spec.resize
    weights = "pretrained" if name == "i3d" else "random"
    own = {"backbone": name, "weights": weights, "mode": "windowed", "crop": crop, "resize": resize}
    params = load_params(Path("params.yaml")).clip_features.model_copy(update=own)
    try:
        network = load_backbone(params)
    except SignloomError as error:
        print(f"{name} left out: {error}")
        return
    base, plain = seconds(lambda: [plain_loop(video, network, params) for video in videos])
    expected = np.concatenate(plain)
    for mode in ("windowed", "dense") if spec.stride else ("windowed",):
        for precision in ("fp32", "bf16"):
            given = params.model_copy(update={"mode": mode, "precision": precision})
            with tempfile.TemporaryDirectory() as kept:
                opened = open_network(given, Path(kept))
                taken, rows = seconds(lambda given=given, opened=opened: ours(videos, opened, given))
            print(
                f"| clip features, {name} at {crop} | 1 thread | {mode} {precision} "
                f"{len(expected) / taken:.2f} rows/s | plain loop {len(expected) / base:.2f} | "
                f"{base / taken:.2f}x | {apart(expected, np.concatenate(rows))} |",
                flush=True,
            )
            say_ratio(f"{name} {mode} {precision} against one window at a time", base / taken)


def main() -> None:
    """Measure and print rows of a Markdown table; times are processor seconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--videos", type=Path, required=True, help="folder of .mp4 files of 25 frames a second"
    )
    parser.add_argument(
        "--clips", type=int, default=1, help="number of videos to use, in the order of their names"
    )
    parser.add_argument("--backbones", nargs="+", choices=list(BACKBONES), default=list(BACKBONES))
    parser.add_argument("--crop", type=int, default=112)
    parser.add_argument("--resize", type=int, default=128)
    args = parser.parse_args()
    videos = sorted(args.videos.rglob("s*/*.mp4"))[: args.clips]
    if not videos:
        raise SystemExit(f"no video under {args.videos}")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for name in args.backbones:
        measure(name, videos, args.crop, args.resize)


if __name__ == "__main__":
    main()
