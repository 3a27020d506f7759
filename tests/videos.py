"""Small real video files for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
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


def write_varying(path: Path) -> Path:
    """Write an H.264 file of twelve frames from 0 to 5.04 s, whose header says that it ends before 2 s.

    The header of an MP4 counts decoding times, and these are earlier where frames are made of later ones.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.max_b_frames = Fraction(1, 1000), 2
        for number, time_ms in enumerate([0, 40, 45, 50, 200, 240, 1240, 1241, 1300, 1400, 5000, 5040]):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
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
