"""Small real video files for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from signloom.video.decode import read_frames


def write_video(path: Path, frames: int = 5, seed: int = 0, fps: int = 25, size: int = 64) -> Path:
    """Write an H.264 file of `frames` noise frames and return its path."""
    rng = np.random.default_rng(seed)
    return write_pictures(
        path, (rng.integers(0, 255, (size, size, 3), dtype=np.uint8) for _ in range(frames)), fps
    )


def write_pictures(path: Path, pictures: Iterable[np.ndarray], fps: int = 25) -> Path:
    """Write an H.264 file of RGB `pictures` and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def side_by_side(*videos: Path) -> Iterator[np.ndarray]:
    """Yield the pictures of `videos` beside each other, until the shortest one ends."""
    for frames in zip(*map(read_frames, videos), strict=False):
        height = min(frame.image.shape[0] for frame in frames)
        yield np.hstack([frame.image[:height] for frame in frames])


def write_frames(folder: Path, count: int = 3, seed: int = 0, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / f"images{number + 1:04d}{suffix}"), picture)
    return folder
