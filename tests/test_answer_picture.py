"""The moving picture of the README: frames of a clip, and the answer beside the last one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from signloom.features.pose.layout import RAW_DIM
from signloom.inference.answer import Answer, Match
from signloom.inference.video import TrackedFrame, VideoAnswer, raw_clip
from signloom.video.decode import read_frames
from tools.answer_picture import SIDE, draw


def seen(video: Path, accepted: bool) -> VideoAnswer:
    """Return an answer to a video in which nothing was found."""
    frames = list(read_frames(video))
    rows = np.full((len(frames), RAW_DIM), np.nan, np.float32)
    match = Match(1, "s1/001_1", "s1/001_1.mp4", 1, "small flowers", "nature", 0.9, 0.9, 0.8, None, None)
    reason = "ok" if accepted else "low_similarity"
    answer = Answer(accepted, reason, (match,), 1.0, len(rows), "small flowers", "SMALL FLOWER")
    tracked = [TrackedFrame(row, frame.time_s, frame.number) for row, frame in zip(rows, frames, strict=True)]
    return VideoAnswer(answer, raw_clip(tracked, frames[0].image.shape))


def test_the_answer_is_beside_the_last_frame_alone(root: Path) -> None:
    video = root / "data/demo/videos/s6/001_1.mp4"
    found = seen(video, accepted=True)
    pictures = draw(video, found)
    assert len(pictures) == -(-len(found.raw.rows) // 2), "12.5 of 25 frames a second"
    # the text of the answer lies under the name and the time, and above the legend
    panels = [np.asarray(one)[80 : SIDE - 40, SIDE:] for one in pictures]
    assert all((panel == 255).all() for panel in panels[:-1])
    assert (panels[-1] < 128).sum() > 1000


def test_a_picture_shows_each_landmark_on_the_frame_that_it_was_found_in(root: Path) -> None:
    video = root / "data/demo/videos/s6/001_1.mp4"
    whole = seen(video, accepted=True)
    raw = whole.raw
    tracked = zip(raw.rows[::2], raw.times[::2], raw.frame_index[::2], strict=True)
    half = raw_clip([TrackedFrame(*frame) for frame in tracked], (raw.height, raw.width))
    for one, other in zip(draw(video, whole), draw(video, VideoAnswer(whole.answer, half)), strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_a_refusal_has_another_colour_than_an_answer(root: Path) -> None:
    video = root / "data/demo/videos/s6/001_1.mp4"
    accepted, refused = (
        np.asarray(draw(video, seen(video, yes))[-1]).reshape(-1, 3) for yes in (True, False)
    )
    blue, orange = [0x0B, 0x4F, 0x9E], [0xA1, 0x4A, 0x00]
    assert (accepted == blue).all(1).any() and not (accepted == orange).all(1).any()
    assert (refused == orange).all(1).any() and not (refused == blue).all(1).any()
