"""Read clips and sentences, augment them for training and pad them into batches, not yet standardised."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from signloom.augment.feature_rows import NO_GEOMETRY, Geometry, augment_pose
from signloom.augment.landmark_rows import centre_crop, clip_generator, half_views, random_crop
from signloom.features.shards import FeatureShards
from signloom.models.layers import standardise, valid_frames
from signloom.params.sign2text import AugmentParams, Sign2TextParams
from signloom.text.tokenizer import TextTokenizer
from signloom.text.vocabulary import PAD
from signloom.training.sentences.samplers import Draw, EpochBatches

View = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]


class Texts:
    """The rows of texts.parquet with their tokens, and the rows of each sentence, itself first."""

    def __init__(self, table: pd.DataFrame, tokenizer: TextTokenizer, max_tokens: int) -> None:
        self.texts: list[str] = table["text"].tolist()
        self.ids = tokenizer.encode(self.texts, max_tokens)
        self.pad = tokenizer.pad
        ordered = table.reset_index(drop=True).sort_values(["sentence_id", "variation"])
        self.rows_of: dict[int, list[int]] = {
            int(sentence): group.index.tolist() for sentence, group in ordered.groupby("sentence_id")
        }

    def tokens(self, rows: Sequence[int]) -> Tensor:
        """Return the token ids (N, L) of `rows`, padded to the longest."""
        longest = max(len(self.ids[row]) for row in rows)
        return torch.tensor([self.ids[row] + [self.pad] * (longest - len(self.ids[row])) for row in rows])


@dataclass(frozen=True)
class ClipSet:
    """The signed clips of one split, sorted by id."""

    ids: list[str]
    sentences: list[int]
    glosses: list[tuple[int, ...]]  # ids, () where they are unknown

    @classmethod
    def of(
        cls, splits: pd.DataFrame, split: str, glosses: Mapping[str, tuple[int, ...]] | None = None
    ) -> Self:
        """Return the clips of `split` in splits.csv that have a sentence, with their `glosses` by clip."""
        rows = splits[(splits["split"] == split) & (splits["sentence_id"] >= 0)].sort_values("clip_id")
        ids = rows["clip_id"].tolist()
        lines = [(glosses or {}).get(clip_id, ()) for clip_id in ids]
        return cls(ids, rows["sentence_id"].astype(int).tolist(), lines)

    def __len__(self) -> int:
        return len(self.ids)


class Sample(NamedTuple):
    """One clip: its views, its sentence and the text drawn for it."""

    views: list[View]
    sentence: int
    text: int
    glosses: tuple[int, ...]  # those that the whole view shows for certain


class TrainingClips(Dataset[Sample]):
    """Augmented clips: the whole clip first, and its even and its odd frames where a loss uses them."""

    def __init__(
        self,
        clips: ClipSet,
        shards: FeatureShards,
        texts: Texts,
        params: Sign2TextParams,
        augmentation: AugmentParams,
        seed: int,
        geometry: Geometry = NO_GEOMETRY,
    ) -> None:
        """Take the clips; `geometry` is that of features that are no landmarks."""
        self.clips, self.shards, self.texts = clips, shards, texts
        self.params, self.augmentation, self.seed = params, augmentation, seed
        self.geometry = geometry

    def __getitem__(self, draw: Draw) -> Sample:
        epoch, index, copy = draw
        clip_id, sentence = self.clips.ids[index], self.clips.sentences[index]
        rng = clip_generator(self.seed, epoch, clip_id, copy)
        text = draw_text(self.texts.rows_of[sentence], self.params.variation_p, rng)
        whole = self.shards.read(clip_id)
        views = [whole]
        if self.params.dual_view and self.params.lambda_supcon:
            views += half_views(*whole)
        changed = [augment_pose(*view, self.augmentation, rng, self.geometry) for view in views]
        glosses = glosses_within(self.clips.glosses[index], len(changed[0][0]), self.params.seq_len)
        cropped = [random_crop(*view, self.params.seq_len, rng) for view in changed]
        return Sample(cropped, sentence, text, glosses)


class PlainClips(Dataset[Sample]):
    """Clips for everything but training: unchanged, or the centre of a clip that is too long."""

    def __init__(self, clips: ClipSet, shards: FeatureShards, texts: Texts, seq_len: int) -> None:
        self.clips, self.shards, self.texts, self.seq_len = clips, shards, texts, seq_len

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Sample:
        clip_id, sentence = self.clips.ids[index], self.clips.sentences[index]
        whole = self.shards.read(clip_id)
        glosses = glosses_within(self.clips.glosses[index], len(whole[0]), self.seq_len)
        view = centre_crop(*whole, self.seq_len)
        return Sample([view], sentence, self.texts.rows_of[sentence][0], glosses)


def glosses_within(glosses: tuple[int, ...], length: int, seq_len: int) -> tuple[int, ...]:
    """Return `glosses`, or none for a clip of `length` frames that will lose some of them to cropping."""
    return glosses if length <= seq_len else ()


def draw_text(rows: list[int], variation_p: float, rng: np.random.Generator) -> int:
    """Return the row of the sentence itself, or with probability `variation_p` the row of a variation."""
    pick, which = rng.random(), rng.random()
    return rows[1 + int(which * (len(rows) - 1))] if len(rows) > 1 and pick < variation_p else rows[0]


class PaddedView(NamedTuple):
    """One view of every clip of a batch; `features` are NaN for missing landmarks and at padding."""

    features: Tensor  # (B, T, D) float32
    mask: Tensor  # (B, T, 4) uint8
    lengths: Tensor  # (B,) int64

    def inputs(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoder's inputs: standardised rows with mask bits (B, T, D + 4), and valid (B, T)."""
        valid = valid_frames(self.lengths, self.features.shape[1])
        return standardise(self.features, self.mask, mean, std), valid


def stacked(views: Sequence[PaddedView]) -> PaddedView:
    """Return all clips of `views`, one view after the other."""
    longest = max(view.features.shape[1] for view in views)
    more = [(0, 0, 0, longest - view.features.shape[1]) for view in views]
    features = [F.pad(view.features, pad, value=torch.nan) for view, pad in zip(views, more, strict=True)]
    masks = [F.pad(view.mask, pad) for view, pad in zip(views, more, strict=True)]
    return PaddedView(torch.cat(features), torch.cat(masks), torch.cat([view.lengths for view in views]))


class Batch(NamedTuple):
    """Clips and the text drawn for each clip."""

    views: list[PaddedView]
    sentences: Tensor  # (B,) int64
    text_rows: Tensor  # (B,) int64, rows of the text table
    tokens: Tensor  # (B, L) int64, from start to end token, then padding
    glosses: Tensor  # (B, G) int64, then padding

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        views = [PaddedView(*(part.to(device) for part in view)) for view in self.views]
        return Batch(views, *(part.to(device) for part in self[1:]))


def collate(texts: Texts, samples: list[Sample]) -> Batch:
    """Join samples into a batch and pad each view to its longest clip."""
    views = [pad([sample.views[i] for sample in samples]) for i in range(len(samples[0].views))]
    rows = [sample.text for sample in samples]
    sentences = torch.tensor([sample.sentence for sample in samples])
    longest = max(len(sample.glosses) for sample in samples)
    lines = [[*sample.glosses, *[PAD] * (longest - len(sample.glosses))] for sample in samples]
    glosses = torch.tensor(lines, dtype=torch.long)
    return Batch(views, sentences, torch.tensor(rows), texts.tokens(rows), glosses)


def pad(views: list[View]) -> PaddedView:
    """Return clips of one or more frames as one padded block."""
    lengths = [len(features) for features, _ in views]
    features = np.full((len(views), max(lengths), views[0][0].shape[1]), np.nan, np.float32)
    mask = np.zeros((len(views), max(lengths), views[0][1].shape[1]), np.uint8)
    for row, (clip, present) in enumerate(views):
        features[row, : len(clip)] = clip
        mask[row, : len(clip)] = present
    return PaddedView(torch.from_numpy(features), torch.from_numpy(mask), torch.tensor(lengths))


class TrainingLoader:
    """The batches of each epoch; they do not depend on the number of loader processes."""

    def __init__(self, data: TrainingClips) -> None:
        p = data.params
        self.batches = EpochBatches(data.clips.sentences, p.batch_size, p.instances_per_class, data.seed)
        self.loader = _loader(data, self.batches, p.workers)

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of epoch `number`."""
        self.batches.epoch = number
        yield from self.loader


def plain_loader(data: PlainClips, batch_size: int, workers: int = 0) -> DataLoader[Any]:
    """Return batches of all clips in the given order."""
    order = range(len(data))
    batches = [list(order[start : start + batch_size]) for start in order[::batch_size]]
    return _loader(data, batches, workers)


def _loader(data: TrainingClips | PlainClips, batches: Any, workers: int) -> DataLoader[Any]:
    return DataLoader(
        data,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=partial(collate, data.texts),
        persistent_workers=workers > 0,
        # its own, because a loader would otherwise draw from the global one at every epoch
        generator=torch.Generator(),
    )
