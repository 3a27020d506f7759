"""Clips and glosses as batches: read, augmented for training, mixed, sorted by length and padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from signloom.augment.features import augment_features, augment_rows, cut_mix, mix_up
from signloom.augment.landmarks import augment, clip_generator
from signloom.features.gloss_rows import Array, GlossRows, Rows, finish
from signloom.features.layout import FEATURE_DIM
from signloom.params.gloss import GlossAugmentParams
from signloom.params.sign2text import AugmentParams
from signloom.text.vocabulary import EOS, PAD, SOS
from signloom.training.gloss_corpus import GlossClip, rows_needed

_STREAM = 1  # sets the draws of an epoch's order apart from those of the clips
# what is left of pose augmentation where the number of rows must stay
_IN_PLACE = {"time_warp_p": 0.0, "frame_dropout_p": 0.0, "shift_p": 0.0}
_TIME_ONLY = {"noise_p": 0.0}


class Sample(NamedTuple):
    """One input and its glosses; `share` below 1 is the weight of `clip`'s, `other` has the rest."""

    x: Array  # (T, D), standardised
    clip: GlossClip
    other: GlossClip | None = None
    share: float = 1.0


class Batch(NamedTuple):
    """Inputs, longest first, and label sequences: one of each input, then the second ones of mixed inputs."""

    features: Tensor  # (B, T, D) float32, 0 at padding
    lengths: Tensor  # (B,) int64
    # N label sequences, N = B where nothing is mixed
    ctc_targets: Tensor  # (N, L) int64
    decoder_input: Tensor  # (N, L + 1) int64, from <sos>
    decoder_target: Tensor  # (N, L + 1) int64, to <eos>
    target_lengths: Tensor  # (N,) int64
    rows: Tensor  # (N,) int64, the input that the labels belong to; the first B are 0 to B - 1
    weights: Tensor  # (N,) float32, the weights of an input sum to 1
    aligned: Tensor  # (N,) bool, False where CTC has too few frames

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        return Batch(*(part.to(device) for part in self))


def collate(samples: Sequence[Sample]) -> Batch:
    """Return samples as one block, longest first; equal lengths keep their order."""
    ordered = sorted(samples, key=lambda sample: -len(sample.x))
    lengths = [len(sample.x) for sample in ordered]
    features = np.zeros((len(ordered), lengths[0], ordered[0].x.shape[1]), np.float32)
    for row, sample in enumerate(ordered):
        features[row, : len(sample.x)] = sample.x
    mixed = [row for row, sample in enumerate(ordered) if sample.other is not None]
    labels = [sample.clip for sample in ordered] + [s.other for s in ordered if s.other is not None]
    shares = [sample.share for sample in ordered]
    longest = max(len(clip.ids) for clip in labels)
    targets = _block([list(clip.ids) for clip in labels], longest)
    return Batch(
        torch.from_numpy(features),
        torch.tensor(lengths),
        targets,
        torch.cat([torch.full((len(labels), 1), SOS), targets], 1),
        _block([[*clip.ids, EOS] for clip in labels], longest + 1),
        torch.tensor([len(clip.ids) for clip in labels]),
        torch.tensor([*range(len(ordered)), *mixed]),
        torch.tensor(shares + [1 - shares[row] for row in mixed]),
        torch.tensor([clip.feasible for clip in labels]),
    )


def _block(lines: list[list[int]], longest: int) -> Tensor:
    return torch.tensor([line + [PAD] * (longest - len(line)) for line in lines])


class TrainingGlosses:
    """Augmented samples of the training clips, drawn from the run's seed, the epoch and the clip alone."""

    def __init__(
        self,
        clips: list[GlossClip],
        rows: GlossRows,
        seed: int,
        batch_size: int,
        features: GlossAugmentParams,
        pose: AugmentParams,
    ) -> None:
        self.clips, self.rows, self.seed, self.batch_size = clips, rows, seed, batch_size
        self.features, self.pose = features, pose
        self._still = pose.model_copy(update=_IN_PLACE)
        self._time_only = pose.model_copy(update=_TIME_ONLY)

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        return -(-len(self.clips) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of epoch `number`: every clip once, in random order."""
        order = np.random.default_rng([self.seed, number, _STREAM]).permutation(len(self.clips))
        for start in range(0, len(order), self.batch_size):
            yield collate([self.sample(number, int(i)) for i in order[start : start + self.batch_size]])

    def sample(self, epoch: int, index: int) -> Sample:
        """Return clip `index` as epoch `epoch` sees it, mixed with another clip now and then."""
        clip = self.clips[index]
        rng = clip_generator(self.seed, epoch, clip.clip_id)
        x, p, how = self.augmented(clip, rng), self.features, rng.random()
        if how >= p.mixup_p + p.cutmix_p or len(self.clips) < 2:
            return Sample(x, clip)
        other = self.clips[(index + int(rng.integers(1, len(self.clips)))) % len(self.clips)]
        share = float(rng.beta(p.mix_alpha, p.mix_alpha))
        second = self.augmented(other, rng)
        if how < p.mixup_p:
            mixed = mix_up(x, second, share)
        elif not other.feasible or rows_needed(other.ids) <= len(x):
            mixed = cut_mix(x, second, share, rng)
        else:  # CTC could not align the other clip's glosses with so few rows
            return Sample(x, clip)
        return Sample(mixed.x, clip, other, mixed.share) if mixed.share < 1 else Sample(x, clip)

    def augmented(self, clip: GlossClip, rng: np.random.Generator) -> Array:
        """Return one drawn source of `clip`, augmented and standardised, (T, dim).

        What CTC can align keeps enough rows: an augmentation that takes too many is drawn again with every
        row in place.
        """
        source = clip.sources[int(rng.integers(len(clip.sources)))]
        rows = self.rows.subsample(self._moved(source, rng, in_place=False))
        if clip.feasible and len(rows.values) < rows_needed(clip.ids):
            rows = self.rows.subsample(self._moved(source, rng, in_place=True))
        rows = self.rows.standardise(rows)
        return finish(Rows(*augment_features(*rows, self.features, rng)))

    def _moved(self, source: str, rng: np.random.Generator, in_place: bool) -> Rows:
        """Return the rows of `source` after pose augmentation, with none in time where `in_place`.

        Clip rows alone have none. Where both are read, only the joined rows move in time: they stay together.
        """
        kind, pose = self.rows.kind, self._still if in_place else self.pose
        if kind == "clip":
            return self.rows.read(source)
        if kind == "pose":
            return _augment_pose(self.rows.read(source), pose, rng)
        joined = self.rows.join(source, _augment_pose(self.rows.read_pose(source), self._still, rng))
        return joined if in_place else Rows(*augment_rows(*joined, self._time_only, rng))


def _augment_pose(rows: Rows, params: AugmentParams, rng: np.random.Generator) -> Rows:
    """Augment landmarks as landmarks, and features of another layout in ways that need none."""
    if rows.values.shape[1] == FEATURE_DIM:
        return Rows(*augment(*rows, params, rng))
    return Rows(*augment_rows(*rows, params, rng))


def plain_batches(clips: Sequence[GlossClip], rows: GlossRows, batch_size: int) -> Iterator[Batch]:
    """Yield all clips in their order, `batch_size` at a time, unchanged; a batch is sorted by length."""
    for start in range(0, len(clips), batch_size):
        yield collate(
            [Sample(rows.network_input(clip.clip_id), clip) for clip in clips[start : start + batch_size]]
        )
