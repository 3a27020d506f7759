"""Read clips and glosses, augment and mix them for training, and pad them into batches."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from signloom.augment import feature_rows
from signloom.augment.landmark_rows import clip_generator
from signloom.errors import SignloomError
from signloom.features.gloss_rows import Array, GlossRows, Rows
from signloom.features.pose.layout import FEATURE_DIM
from signloom.params.gloss import GlossAugmentParams, GlossPositionsParams, GlossRecomposeParams
from signloom.params.sign2text import AugmentParams
from signloom.text.vocabulary import EOS, PAD, SOS, SPECIALS, UNK
from signloom.training.ctc import rows_needed
from signloom.training.glosses.corpus import GlossClip
from signloom.training.glosses.recompose import NewSentences

# separate random streams for an epoch's order and its hidden tokens, apart from those of the clips
_STREAM, _HIDDEN = 1, 2
# overrides of the pose augmentation that keep the number of rows
_IN_PLACE = {"time_warp_p": 0.0, "frame_dropout_p": 0.0, "shift_p": 0.0}
_TIME_ONLY = {"noise_p": 0.0}


class Sample(NamedTuple):
    """One input and its glosses; in a mixed input, `clip` has the weight `share` and `other` the rest."""

    x: Array  # (T, D), standardised
    clip: GlossClip
    other: GlossClip | None = None
    share: float = 1.0


class Batch(NamedTuple):
    """Inputs, longest first, and their label sequences; the second ones of mixed inputs come last."""

    features: Tensor  # (B, T, D) float32, 0 at padding
    lengths: Tensor  # (B,) int64
    # N label sequences; N = B if nothing is mixed
    ctc_targets: Tensor  # (N, L) int64
    decoder_input: Tensor  # (N, L + 1) int64, from <sos>
    decoder_target: Tensor  # (N, L + 1) int64, to <eos>
    target_lengths: Tensor  # (N,) int64
    rows: Tensor  # (N,) int64, the input that the labels belong to; the first B are 0 to B - 1
    weights: Tensor  # (N,) float32, the weights of an input sum to 1
    aligned: Tensor  # (N,) bool, False if CTC has too few frames

    def to(self, device: torch.device) -> "Batch":
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
    """Augmented samples of the training clips; they depend only on the run's seed, the epoch and the clip."""

    def __init__(
        self,
        clips: list[GlossClip],
        rows: GlossRows,
        seed: int,
        batch_size: int,
        features: GlossAugmentParams,
        pose: AugmentParams,
        recompose: GlossRecomposeParams,
        positions: GlossPositionsParams,
        token_dropout: float = 0.0,
    ) -> None:
        self.clips, self.rows, self.seed, self.batch_size = clips, rows, seed, batch_size
        self.features, self.pose = features, pose
        self._still = pose.model_copy(update=_IN_PLACE)
        self._time_only = pose.model_copy(update=_TIME_ONLY)
        self._sentences = NewSentences(clips, rows, recompose)
        self._positions = positions if rows.kind == "pose" else positions.off()
        if self._positions.used:
            check_pairs(len(rows.mean), positions)
        self.token_dropout = token_dropout

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return -(-len(self.clips) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of epoch `number`: every clip once, in random order."""
        order = np.random.default_rng([self.seed, number, _STREAM]).permutation(len(self.clips))
        hidden = np.random.default_rng([self.seed, number, _HIDDEN])
        for start in range(0, len(order), self.batch_size):
            batch = collate([self.sample(number, int(i)) for i in order[start : start + self.batch_size]])
            yield hide_tokens(batch, self.token_dropout, hidden) if self.token_dropout else batch

    def sample(self, epoch: int, index: int) -> Sample:
        """Return clip `index` as epoch `epoch` sees it, sometimes mixed with another clip."""
        clip = self.clips[index]
        rng = clip_generator(self.seed, epoch, clip.clip_id)
        (x, clip), p, how = self.augmented(clip, rng), self.features, rng.random()
        if how >= p.mixup_p + p.cutmix_p or len(self.clips) < 2:
            return Sample(x, clip)
        other = self.clips[(index + int(rng.integers(1, len(self.clips)))) % len(self.clips)]
        share = float(rng.beta(p.mix_alpha, p.mix_alpha))
        second, other = self.augmented(other, rng)
        if how < p.mixup_p:
            mixed = feature_rows.mix_up(x, second, share)
        elif not other.feasible or rows_needed(other.ids) <= len(x):
            mixed, share = feature_rows.cut_mix(x, second, share, rng)
        else:  # CTC could not align the other clip's glosses with so few rows
            return Sample(x, clip)
        return Sample(mixed, clip, other, share) if share < 1 else Sample(x, clip)

    def augmented(self, clip: GlossClip, rng: np.random.Generator) -> tuple[Array, GlossClip]:
        """Return one drawn source of `clip`, augmented and standardised (T, dim), and the clip it now shows.

        A clip that CTC can align keeps enough rows. If the augmentation removes too many, it is drawn again
        with the number of rows kept. If `every` still leaves too few rows, they are repeated.
        """
        source = clip.sources[int(rng.integers(len(clip.sources)))]
        for in_place in (False, True):
            said, rows = self._sentences.draw(clip, source, self._read(source, rng), rng)
            rows = self.rows.standardise(self._in_time(rows, rng, in_place), source)
            rows = Rows(feature_rows.augment_positions(rows.values, self._positions, rng), rows.mask)
            phase = int(rng.integers(self.rows.every)) if self.rows.every > 1 else 0
            rows = self.rows.subsample(self.rows.thin(rows, phase))
            if not clip.feasible or len(rows.values) >= rows_needed(said.ids):
                break
        if clip.feasible:
            rows = lengthened(rows, rows_needed(said.ids))
        return self.rows.finish(Rows(*feature_rows.augment_features(*rows, self.features, rng))), said

    def _read(self, source: str, rng: np.random.Generator) -> Rows:
        """Return the rows of `source`; with both families, pose rows are augmented, but not in time."""
        if self.rows.kind != "both":
            return self.rows.read(source)
        return self.rows.join(source, self._augment_pose(self.rows.read_pose(source), self._still, rng))

    def _augment_pose(self, rows: Rows, params: AugmentParams, rng: np.random.Generator) -> Rows:
        return Rows(
            *feature_rows.augment_pose(*rows, params, rng, feature_rows.Geometry(self.rows.stats["pose"].std))
        )

    def _in_time(self, rows: Rows, rng: np.random.Generator, in_place: bool) -> Rows:
        """Return `rows` after pose augmentation, which leaves time alone if `in_place`.

        Clip rows have no augmentation here. If both families are read, the joined rows move together in time.
        """
        if self.rows.kind == "pose":
            return self._augment_pose(rows, self._still if in_place else self.pose, rng)
        if self.rows.kind == "clip" or in_place:
            return rows
        return Rows(*feature_rows.augment_rows(*rows, self._time_only, rng))


def check_pairs(width: int, positions: GlossPositionsParams) -> None:
    """Raise SignloomError if `width` pose columns cannot be the pairs that gloss_positions needs."""
    if width == FEATURE_DIM or width % 2 or positions.offset_columns > width:
        raise SignloomError(
            f"gloss_positions needs pairs of x and y in at least offset_columns "
            f"({positions.offset_columns}) columns, not pose features of {width} columns; "
            "set its scale, rotation, shift and noise to 0"
        )


def lengthened(rows: Rows, least: int) -> Rows:
    """Return `rows`, evenly repeated if they are fewer than `least`."""
    if len(rows.values) >= least:
        return rows
    places = np.arange(least) * len(rows.values) // least
    return Rows(rows.values[places], rows.mask[places])


def hide_tokens(batch: Batch, share: float, rng: np.random.Generator) -> Batch:
    """Return `batch` with each gloss of the decoder's input replaced by <unk> with probability `share`."""
    drawn = torch.from_numpy(rng.random(tuple(batch.decoder_input.shape)) < share)
    gloss = batch.decoder_input >= len(SPECIALS)
    return batch._replace(decoder_input=batch.decoder_input.masked_fill(drawn & gloss, UNK))


def plain_batches(clips: Sequence[GlossClip], rows: GlossRows, batch_size: int) -> Iterator[Batch]:
    """Yield batches of all clips, unchanged and in the given order; each batch is sorted by length."""
    for start in range(0, len(clips), batch_size):
        yield collate(
            [Sample(rows.network_input(clip.clip_id), clip) for clip in clips[start : start + batch_size]]
        )
