"""The sources of a bundle: trained networks, gallery and texts, checked against each other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from signloom.errors import SignloomError
from signloom.evaluation.datasets import EmbeddedClips
from signloom.export.clip_networks import EncoderNetwork, GlossNetwork
from signloom.features.shards import FeatureShards
from signloom.features.stats import Stats
from signloom.inference.networks import Clip
from signloom.models import checkpoints
from signloom.models.sign2text import Sign2Text
from signloom.models.trained_gloss import TrainedGloss, load_gloss
from signloom.models.trained_sign2text import load_trained
from signloom.text.glosses import read_vocabulary
from signloom.text.sentences import read_splits
from signloom.text.tokenizer import TextTokenizer


@dataclass(frozen=True, kw_only=True)
class ExportFiles:
    """The files that an export reads; of features, indexes and masks one per shard."""

    checkpoint: Path  # of the sign2text network
    gloss: Path | None = None  # checkpoint
    features: Sequence[Path]
    index: Sequence[Path]
    mask: Sequence[Path]
    stats: Path
    splits: Path
    tokenizer: Path
    glosses: Path
    embeddings: Path
    map: Path
    frames: Path
    frames_index: Path
    prototypes: Path
    thresholds: Path
    metrics: Sequence[Path]
    signer_stats: Path | None = None  # where rows are standardised by signer


@dataclass(frozen=True)
class Sign2TextSource:
    """The sign2text network, on the CPU."""

    model: Sign2Text
    encoder: EncoderNetwork
    origin: dict[str, Any]  # the checkpoint without its tensors

    @property
    def decodes(self) -> bool:
        """Whether the network has a sentence decoder."""
        return self.model.config.decoder_layers > 0


@dataclass(frozen=True)
class GlossSource:
    """A gloss network that reads only pose features, on the CPU."""

    trained: TrainedGloss
    network: GlossNetwork


def open_sign2text(files: ExportFiles, tracker: str) -> Sign2TextSource:
    """Load the checkpoint of a bundle whose videos `tracker` tracks (a value of `landmarks.engine`).

    Raises SignloomError if it was trained with other statistics, another tokenizer or other trackers.
    """
    path = files.checkpoint
    trained = load_trained(path, files.stats)
    model = trained.model.cpu()
    tokenizer, config = TextTokenizer.load(files.tokenizer), model.config
    ids = (tokenizer.size, tokenizer.pad, tokenizer.start, tokenizer.end)
    if ids != (config.vocab_size, config.pad_id, config.bos_id, config.eos_id):
        raise SignloomError(
            f"{path} was trained with another tokenizer than {files.tokenizer}; train it again"
        )
    names = ("parameters", "data_hash", "stats_hash", "vocabulary_hash", "git_commit")
    content = checkpoints.load(path)
    missing = [name for name in names if name not in content]
    if missing:
        raise SignloomError(f"{path} lacks the entry {missing[0]}; train it again")
    trained_on = set(content.get("trackers", [])) - {"file"}  # ready landmarks say nothing of their tracker
    if trained_on and tracker not in trained_on:
        raise SignloomError(
            f"{path} was trained on landmarks of {' and '.join(sorted(trained_on))}, and landmarks.engine is "
            f"{tracker}; train it again, or set landmarks.engine back"
        )
    encoder = EncoderNetwork(model, trained.mean.cpu(), trained.std.cpu()).eval()
    return Sign2TextSource(model, encoder, {name: content[name] for name in names})


def open_gloss(files: ExportFiles) -> GlossSource | None:
    """Load the gloss checkpoint if one is given.

    Raises SignloomError if it cannot answer from the pose features of one clip.
    """
    path = files.gloss
    if path is None:
        return None
    trained = load_gloss(path)
    reasons = {
        f"reads {trained.kind} features": trained.kind != "pose",
        "standardises features by signer, and the signer of a new clip is not known": trained.signers
        is not None,
        f"joins {trained.stack} rows into one": trained.stack > 1,
        f"reads only one row in {trained.every}": trained.every > 1,
    }
    for reason, holds in reasons.items():
        if holds:
            raise SignloomError(
                f"{path} cannot be exported: it {reason}; export a run that reads only pose features"
            )
    own = trained.stats["pose"]
    if not own.same(Stats.read(files.stats)):
        raise SignloomError(f"{path} was trained with other statistics than {files.stats}; train it again")
    if trained.vocabulary != read_vocabulary(files.glosses):
        raise SignloomError(
            f"{path} was trained with another vocabulary than {files.glosses}; train it again"
        )
    mean, std = torch.from_numpy(own.mean), torch.from_numpy(own.std)
    return GlossSource(trained, GlossNetwork(trained.model.cpu(), mean, std).eval())


@dataclass(frozen=True)
class Gallery:
    """The signed training clips: their `table` from the embedding map, embeddings (N, E) and frame index."""

    table: pd.DataFrame
    embeddings: np.ndarray[Any, np.dtype[np.float32]]
    frames: pd.DataFrame  # clip_id, offset, length

    @classmethod
    def open(cls, files: ExportFiles) -> Self:
        """Read the embeddings; raises SignloomError if there are none or the frames belong to other clips."""
        clips = EmbeddedClips(files.embeddings, files.map)
        rows = clips.gallery()
        if not len(rows):
            raise SignloomError(
                f"{files.map}: no signed training clip, so nothing can be answered; check splits.csv"
            )
        table = clips.table.iloc[rows].reset_index(drop=True)
        frames = pd.read_parquet(files.frames_index)
        if frames["clip_id"].tolist() != table["clip_id"].tolist():
            raise SignloomError(
                f"{files.frames_index} has other clips than {files.map}; run stage embed again"
            )
        for column in ("video_file", "feature_path"):
            table[column] = relative(table[column].tolist())
        return cls(table, clips.vectors[rows], frames)


def relative(files: list[str]) -> list[str]:
    """Return `files` without the folders shared by all absolute paths, which depend on the machine."""
    absolute = [Path(file) for file in files if Path(file).is_absolute()]
    if not absolute:
        return files
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    return [Path(file).relative_to(common).as_posix() if Path(file).is_absolute() else file for file in files]


class RealClips:
    """Clips of the corpus for checking exported networks."""

    def __init__(self, files: ExportFiles) -> None:
        """Open the features; raises SignloomError if no clip has frames."""
        self.shards = FeatureShards(files.features, files.index, files.mask)
        clip_ids = [clip for clip in read_splits(files.splits)["clip_id"] if self.shards.length(clip)]
        if not clip_ids:
            raise SignloomError(
                f"{files.splits}: no clip has frames to check the networks on; build the features again"
            )
        self.by_length = sorted(clip_ids, key=lambda clip_id: (self.shards.length(clip_id), clip_id))

    def read(self, clip_id: str) -> Clip:
        """Return features (T, D) and mask (T, 4) of a clip."""
        return np.array(self.shards.clip(clip_id)), np.array(self.shards.mask(clip_id))

    def batches(self, over: int) -> list[list[Clip]]:
        """Return batches of one and of three clips, with lengths from one frame to more than `over`."""
        last = len(self.by_length) - 1
        chosen = [self.read(self.by_length[last * quarter // 4]) for quarter in range(5)]
        first, longest = chosen[0], chosen[-1]
        times = over // len(longest[0]) + 1
        joined = np.tile(longest[0], (times, 1)), np.tile(longest[1], (times, 1))
        short = [(first[0][:frames], first[1][:frames]) for frames in (1, 3)]
        return [[clip] for clip in [*short, *chosen, joined]] + [[short[0], chosen[2], joined], chosen[1:4]]
