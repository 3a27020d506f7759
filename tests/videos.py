"""Small real video files for tests."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np


def write_video(path: Path, frames: int = 5, seed: int = 0, fps: int = 25, size: int = 64) -> Path:
    """Write an H.264 file of `frames` noise frames and return its path."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            picture = rng.integers(0, 255, (size, size, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_frames(folder: Path, count: int = 3, seed: int = 0, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / f"images{number + 1:04d}{suffix}"), picture)
    return folder
