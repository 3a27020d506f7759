"""Run clips through a trained encoder in batches of similar length, and write their embeddings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from signloom.augment.landmark_rows import centre_crop
from signloom.errors import SignloomError
from signloom.evaluation.datasets import in_gallery
from signloom.features.shards import FeatureShards
from signloom.files import atomic, write_npy
from signloom.models.layers import standardise, valid_frames
from signloom.models.sign2text import Encoded
from signloom.models.trained_sign2text import TrainedEncoder
from signloom.progress import batches

_BATCH = 32


class Clips(Protocol):
    """Feature shards, or clips made from them: features (T, 540) and presence bits (T, 4) by clip."""

    def length(self, clip_id: str) -> int: ...
    def read(self, clip_id: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]: ...


def encode_clips(
    trained: TrainedEncoder, clips: Clips, clip_ids: Sequence[str], batch_size: int, label: str
) -> Iterator[tuple[Sequence[int], Encoded]]:
    """Yield each batch's positions in `clip_ids` and the encoder's output for those clips.

    Batches hold clips of similar length, so that there is little padding. They depend only on lengths and
    order. Of a clip longer than the model's `seq_len`, the middle is encoded. Raises SignloomError for a clip
    without frames.
    """
    lengths = [min(clips.length(clip_id), trained.model.config.seq_len) for clip_id in clip_ids]
    for clip_id, length in zip(clip_ids, lengths, strict=True):
        if length == 0:
            raise SignloomError(
                f"clip {clip_id} has no frames in the feature shards; build them and the splits again"
            )
    order = sorted(range(len(clip_ids)), key=lambda row: (lengths[row], clip_ids[row]))
    for rows in batches(order, batch_size, label):
        batch = [centre_crop(*clips.read(clip_ids[row]), trained.model.config.seq_len) for row in rows]
        with torch.inference_mode():
            yield rows, trained.model.encode(*_pad(trained, batch))


def _pad(
    trained: TrainedEncoder, clips: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]]
) -> tuple[Tensor, Tensor]:
    """Return standardised inputs (B, T, 544), 0 at padding, and their validity (B, T)."""
    longest = max(len(features) for features, _ in clips)
    x = torch.zeros(len(clips), longest, clips[0][0].shape[1] + 4, device=trained.device)
    for row, (features, mask) in enumerate(clips):
        x[row, : len(features)] = standardise(
            torch.from_numpy(np.array(features)).to(trained.device),
            torch.from_numpy(np.array(mask)).to(trained.device),
            trained.mean,
            trained.std,
        )
    lengths = torch.tensor([len(features) for features, _ in clips], device=trained.device)
    return x, valid_frames(lengths, longest)


def embedding_map(splits: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """Return embeddings_map.csv: every clip of `splits`, sorted by clip, including unsigned ones (-1).

    Raises SignloomError if `metadata` lacks a clip.
    """
    columns = ["clip_id", "video_file", "feature_path", "sentence_id", "sentence", "category", "consent"]
    table = splits[["clip_id", "split"]].merge(metadata[columns], on="clip_id", how="left", validate="1:1")
    lost = table["clip_id"][table["sentence_id"].isna()]
    if len(lost):
        raise SignloomError(
            f"{len(lost)} clips of splits.csv are not in the metadata (first: {lost.iloc[0]}); "
            "run stages metadata and splits again"
        )
    table = table.sort_values("clip_id").reset_index(drop=True).astype({"sentence_id": "int64"})
    return table[[*columns, "split"]]


def write_embeddings(
    trained: TrainedEncoder,
    shards: FeatureShards,
    clips: pd.DataFrame,
    embeddings: Path,
    frames: Path,
    exported: bool = True,
) -> pd.DataFrame:
    """Write unit rows float32 (N, E) for all `clips` and float16 frames (rows, D) for the gallery.

    Frames are the encoder's, without the probabilities of glosses, which warping does not compare.
    `clips` is an embedding map. The gallery is as `in_gallery` says; its clips' frame sequences follow one
    another in the order of `clips`. A run that is not `exported` has no gallery. Returns the table
    `clip_id, offset, length` of the gallery.
    """
    gallery = clips[in_gallery(clips) & exported]
    length = [min(shards.length(clip_id), trained.model.config.seq_len) for clip_id in gallery["clip_id"]]
    offset = np.cumsum([0, *length])[:-1]
    place = dict(zip(gallery.index, zip(offset, length, strict=True), strict=True))
    vectors = np.empty((len(clips), trained.model.config.embedding_dim), np.float32)
    with atomic(frames) as part:
        shape = (sum(length), trained.model.encoder.frame_dim)
        # a memory map cannot be empty, so an empty file is written as an array
        sequences = (
            np.lib.format.open_memmap(part, "w+", np.float16, shape)
            if sum(length)
            else np.zeros(shape, np.float16)
        )
        for rows, encoded in encode_clips(trained, shards, clips["clip_id"].tolist(), _BATCH, "embed"):
            vectors[rows] = encoded.embedding.float().cpu().numpy()
            states = encoded.frames[..., : shape[1]].to(torch.float16).cpu().numpy()
            for row, state in zip(rows, states, strict=True):
                if row in place:
                    first, count = place[row]
                    sequences[first : first + count] = state[:count]
        if isinstance(sequences, np.memmap):
            sequences.flush()
        else:
            with part.open("wb") as file:
                np.save(file, sequences)
    write_npy(embeddings, vectors)
    return pd.DataFrame(
        {"clip_id": gallery["clip_id"].to_numpy(), "offset": offset, "length": length}
    ).astype({"clip_id": "str", "offset": "int64", "length": "int64"})
