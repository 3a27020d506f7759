"""Stage clip_features_augmented: frames of augmented copies of a shard's training clips."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from signloom.augment import frames as augment
from signloom.features.clip.clip_features import Source, plain_frames
from signloom.features.clip.clip_shard import OpenClip
from signloom.params.clips import ClipFeaturesParams, FramesParams
from signloom.text.sentences import training_clips
from signloom.video.decode import Frame


def clips_to_copy(clips: list[dict[str, Any]], splits: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the training clips with a sentence among the shard's `clips`, in the same order."""
    training = set(training_clips(splits)["clip_id"])
    return [clip for clip in clips if clip["clip_id"] in training]


def augmented_frames(frames: FramesParams) -> Source:
    """Return a source of frames that augments them as `frames` says; see `signloom.augment.frames`.

    A clip is decoded twice: first to count its frames, which augmentation in time needs, and then to stream
    them. Copies keep all glosses of their clip but no gloss times, so copies are never cropped in time.
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
