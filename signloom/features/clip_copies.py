"""Stage clip_features_augmented: augmented copies of a shard's training clips, as sources of frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from signloom.augment import frames as augment
from signloom.features.clip_features import Source, plain_frames
from signloom.features.clip_shard import OpenClip
from signloom.features.stats import training_clips
from signloom.params.clips import ClipFeaturesParams, FramesParams
from signloom.video.decode import Frame


def clips_to_copy(clips: list[dict[str, Any]], splits: pd.DataFrame) -> list[dict[str, Any]]:
    """Return those of the shard's `clips` that are training clips with a sentence, in their order."""
    training = set(training_clips(splits))
    return [clip for clip in clips if clip["clip_id"] in training]


def augmented_frames(frames: FramesParams) -> Source:
    """Return the source of frames that augments as `frames` says; see `signloom.augment.frames`.

    A clip is decoded twice: once to count its frames, as what happens in time depends on their number, and
    once to let them stream by. Copies are gloss targets without gloss times, so none is cropped in time.
    """
    level = augment.LEVELS[frames.level]

    def source(clip: OpenClip, params: ClipFeaturesParams) -> Iterator[Frame]:
        count = sum(1 for _ in plain_frames(clip, params))
        rng = augment.copy_generator(frames.seed, clip.task.copy, clip.task.source_id)
        plan = augment.draw(level, count, rng)
        for place, frame in enumerate(augment.pick(plain_frames(clip, params), plan.order)):
            values = augment.alter(frame.image.astype(np.float32) / np.float32(255), plan, place)
            yield frame._replace(image=np.rint(values * 255).astype(np.uint8))

    return source
